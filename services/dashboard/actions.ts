import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

import type { Audit } from '../../shared/audit.ts'
import type { Clock } from '../../shared/clock.ts'
import { isMessageId } from '../../shared/mail/message-id.ts'
import type { MessageId } from '../../shared/mail/message-id.ts'
import type { ManyAction, Selection } from '../../shared/operate/many.ts'
import { OperationError } from '../../shared/operate/operation-error.ts'
import type { Operations } from '../../shared/operate/operations.ts'
import { QueueUnavailableError } from '../../shared/queue/unavailable.ts'
import { plural } from '../../shared/report/units.ts'
import type { Access } from './access.ts'
import { actionFailedPage } from './pages/error-page.ts'
import type { Page } from './pages/layout.ts'
import { staleFormPage } from './pages/sign-in-page.ts'
import type { Visitor } from './visitor.ts'

/** Something an operator does to a queue or a message, under its last path segment. */
export interface Action<Target> {
  readonly path: string
  /** As the audit log says it. */
  readonly name: string
  /** @returns what came of it, one sentence. @throws OperationError */
  run(target: Target, by: string): Promise<string>
}

export function queueActions(operations: Operations): readonly Action<string>[] {
  return [
    {
      path: 'pause',
      name: 'pause queue',
      run: async (queue) => {
        await operations.setPaused(queue, true)
        return 'the queue is paused'
      },
    },
    {
      path: 'resume',
      name: 'resume queue',
      run: async (queue) => {
        await operations.setPaused(queue, false)
        return 'the queue is running'
      },
    },
    {
      path: 'schedule',
      name: 'schedule queue',
      run: async (queue) => `${plural(await operations.scheduleQueue(queue), 'message')} will be tried now`,
    },
  ]
}

export function messageActions(operations: Operations): readonly Action<MessageId>[] {
  return [
    {
      path: 'schedule',
      name: 'schedule message',
      run: async (id, by) => `${plural(await operations.scheduleMessage(id, by), 'job')} will be tried now`,
    },
    {
      path: 'hold',
      name: 'hold message',
      run: async (id, by) => `held in ${(await operations.hold(id, by)).join(', ')}`,
    },
    {
      path: 'release',
      name: 'release message',
      run: async (id, by) => `back in ${(await operations.release(id, by)).join(', ')}`,
    },
    {
      path: 'release-ham',
      name: 'release message and learn it as ham',
      run: (id, by) => operations.releaseAsHam(id, by),
    },
    { path: 'block', name: 'block sender', run: (id, by) => operations.block(id, by) },
    {
      path: 'remove',
      name: 'remove message',
      run: async (id, by) => `removed for ${plural(await operations.remove(id, by), 'recipient')}`,
    },
    {
      path: 'expire',
      name: 'return message to its sender',
      run: async (id, by) => `returned for ${plural(await operations.expire(id, by), 'recipient')}`,
    },
  ]
}

const manyNames: readonly (readonly [action: ManyAction, name: string, done: string])[] = [
  ['schedule', 'schedule', 'will be tried now'],
  ['hold', 'hold', 'held'],
  ['release', 'release', 'released'],
  ['expire', 'return to their senders', 'returned'],
]

/** For all that is on its way to a destination, or carries a tag. */
export function manyActions(operations: Operations): readonly Action<Selection>[] {
  return manyNames.map(([action, name, done]) => ({
    path: action,
    name: `${name}, by destination or tag`,
    run: async (selection, by) => {
      const { done: count, left } = await operations.many(action, selection, by)
      return `${plural(count, 'job')} ${done}${left === 0 ? '' : `, ${left} left: a worker has them`}`
    },
  }))
}

export interface ActionParts {
  readonly operations: Operations
  readonly access: Access
  readonly audit: Audit
  readonly clock: Clock
  show(request: FastifyRequest, reply: FastifyReply, page: Page): FastifyReply
}

/** The forms of pages. Each asks whether it is ours and whether its sender may, and is told to the audit log. */
export function addActions(app: FastifyInstance, parts: ActionParts): void {
  for (const action of queueActions(parts.operations)) {
    app.post(`/queues/:name/${action.path}`, (request, reply) => {
      const { name } = request.params as { readonly name: string }
      return act(parts, {
        request,
        reply,
        page: `/queues/${encodeURIComponent(name)}`,
        about: name,
        action,
        target: name,
      })
    })
  }
  for (const action of messageActions(parts.operations)) {
    app.post(`/messages/:id/${action.path}`, (request, reply) => {
      const { id } = request.params as { readonly id: string }
      if (!isMessageId(id)) return reply.callNotFound()
      return act(parts, { request, reply, page: `/messages/${id}`, about: id, action, target: id })
    })
  }
}

interface Asked<Target> {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  /** Where it was asked, and where it leads back to. */
  readonly page: string
  readonly about: string
  readonly action: Action<Target>
  readonly target: Target
}

async function act<Target>(parts: ActionParts, asked: Asked<Target>): Promise<FastifyReply> {
  const { access, clock, show } = parts
  const { request, reply, page, action, target } = asked
  const visitor = access.visitor(request)
  if (visitor?.name === undefined || !access.ownsForm(request))
    return reply.code(403).type('text/html; charset=utf-8').send(staleFormPage().text)
  const refuse = (code: number, detail: string): FastifyReply => {
    record(parts, asked, { visitor, outcome: 'refused', detail })
    return show(request, reply.code(code), actionFailedPage({ action: action.name, detail, page }, clock.now()))
  }
  if (!visitor.acts) return refuse(403, 'you may look here, and not change anything')
  try {
    const detail = await action.run(target, `${visitor.name} (dashboard)`)
    record(parts, asked, { visitor, outcome: 'done', detail })
    return reply.redirect(`${page}?done=${action.path}`, 303)
  } catch (error) {
    if (error instanceof OperationError) return refuse(409, error.message)
    if (error instanceof QueueUnavailableError) return refuse(503, error.message)
    record(parts, asked, { visitor, outcome: 'refused', detail: 'it failed; the log says why' })
    throw error
  }
}

function record<Target>(
  { access, audit }: ActionParts,
  { request, action, about }: Asked<Target>,
  how: { readonly visitor: Visitor; readonly outcome: 'done' | 'refused'; readonly detail: string },
): void {
  const { visitor, outcome, detail } = how
  const from = access.client(request).address
  audit.record({ by: visitor.name ?? 'unknown', from, action: action.name, about, outcome, detail })
}
