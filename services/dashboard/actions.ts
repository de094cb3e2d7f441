import { setTimeout as sleep } from 'node:timers/promises'

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

import type { Audit } from '../../shared/audit.ts'
import type { Clock } from '../../shared/clock.ts'
import { isAtLeast } from '../../shared/config/operators.ts'
import { isMessageId } from '../../shared/mail/message-id.ts'
import type { MessageId } from '../../shared/mail/message-id.ts'
import type { ManyAction, ManyDone, Selection, TellProgress } from '../../shared/operate/many.ts'
import { describeReplay } from '../../shared/operate/replay.ts'
import { describeStep } from '../../shared/operate/try-replay.ts'
import { OperationError } from '../../shared/operate/operation-error.ts'
import type { Operations } from '../../shared/operate/operations.ts'
import type { GivenOrder } from '../../shared/operate/relay-order.ts'
import { QueueUnavailableError } from '../../shared/queue/unavailable.ts'
import { plural } from '../../shared/report/units.ts'
import type { Access } from './access.ts'
import { givenByForm } from './action-fields.ts'
import type { Fields, Given } from './action-fields.ts'
import { actionFailedPage } from './pages/error-page.ts'
import type { Page } from './pages/layout.ts'
import { staleFormPage } from './pages/sign-in-page.ts'
import type { Visitor } from './visitor.ts'

/** Something an operator does to a queue or a message, under its last path segment. */
export interface Action<Target> {
  readonly path: string
  /** As the audit log says it. */
  readonly name: string
  /** What it may be told besides. */
  readonly fields?: Fields
  /** Absent: of operators. */
  readonly role?: 'admin'
  /** @returns what came of it, one sentence. @throws OperationError */
  run(target: Target, by: string, given: Given): Promise<string | GoesOn>
}

/** It takes longer than a request may, and goes on by itself. */
export interface GoesOn {
  readonly soFar: string
  /** What came of it. */
  readonly end: Promise<string>
}

const recipient = { type: 'string', description: 'The copy of one recipient alone, by his address.' } as const
const copyTo = { type: 'string', description: 'A copy for this address, in place of those it was for.' } as const
const dryRun = { type: 'boolean', description: 'Tells what would be done, and changes nothing.' } as const
const way = {
  to: {
    type: 'string',
    description:
      'A relay host as in smtpd.conf: smtp://mx.example.org:2525; with a label those alone that a relay action names with it.',
  },
  action: { type: 'string', description: 'A relay action of smtpd.conf, in place of `to`.' },
  undo: { type: 'boolean', description: 'Where the rules say, again, in place of `to`.' },
} as const

const limitFields = {
  rate: { type: 'string', description: 'Messages taken in a time: `50/s`, `100/5m`; `off`: no limit.' },
  concurrency: { type: 'string', description: 'Messages at work at a time, over all workers: `4`.' },
} as const

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
    {
      path: 'limit',
      name: 'limit queue',
      fields: limitFields,
      run: async (queue, by, { rate, concurrency }) =>
        `limit: ${await operations.limit(queue, { rate, concurrency }, by)}`,
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
      fields: { recipient },
      run: async (id, by, given) => `held in ${(await operations.hold(id, by, given['recipient'])).join(', ')}`,
    },
    {
      path: 'release',
      name: 'release message',
      fields: { recipient },
      run: async (id, by, given) => `back in ${(await operations.release(id, by, given['recipient'])).join(', ')}`,
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
      fields: { recipient },
      run: async (id, by, given) =>
        `removed for ${plural(await operations.remove(id, by, given['recipient']), 'recipient')}`,
    },
    {
      path: 'expire',
      name: 'return message to its sender',
      fields: { recipient },
      run: async (id, by, given) =>
        `returned for ${plural(await operations.expire(id, by, given['recipient']), 'recipient')}`,
    },
    {
      path: 'reroute',
      name: 'reroute message',
      fields: { ...way, recipient },
      run: async (id, by, given) => rerouted(await operations.reroute(id, orderOf(given), by, given['recipient'])),
    },
    {
      path: 'readdress',
      name: 'readdress message',
      fields: {
        from: { type: 'string', description: 'The recipient whose copy it is.' },
        to: { type: 'string', description: 'The address it goes to from now on.' },
      },
      run: async (id, by, { from, to }) => {
        if (from === undefined || to === undefined) throw new OperationError('it needs `from` and `to`, two addresses')
        return `the copy for ${from} goes to ${await operations.readdress(id, { from, to }, by)}`
      },
    },
    {
      path: 'replay',
      name: 'replay message',
      fields: { ...again, recipient, to: copyTo, dryRun },
      run: async (id, by, given) => {
        const { from, recipient: only, to } = given
        const [repeats, isDry] = [given['again'] !== undefined, given['dryRun'] !== undefined]
        const request = { from, recipient: only, to, again: repeats, dryRun: isDry }
        const told = describeReplay(await operations.replay(id, request, by), request)
        const steps = isDry && to === undefined ? await operations.tryReplay(id, request) : []
        return [...told, ...steps.map(describeStep)].join('; ')
      },
    },
  ]
}

const manyNames: readonly (readonly [action: ManyAction, name: string, done: string])[] = [
  ['schedule', 'schedule', 'will be tried now'],
  ['hold', 'hold', 'held'],
  ['release', 'release', 'released'],
  ['expire', 'return to their senders', 'returned'],
  ['remove', 'remove', 'removed'],
]

const again = {
  from: { type: 'string', description: 'A queue that it passed within the last hour; absent: from its beginning.' },
  again: { type: 'boolean', description: 'Also to those who have it already.' },
} as const

/**
 * For all that is on its way to a destination, or carries a tag.
 * @param patienceMs for how long an answer waits for the end
 */
export function manyActions(operations: Operations, patienceMs = 10_000): readonly Action<Selection>[] {
  const count = async (action: ManyAction | 'reroute', selection: Selection): Promise<string> => {
    const { jobs, messages } = (await operations.counts(selection))[action]
    return `${plural(jobs, 'job')} of ${plural(messages, 'message')}; nothing is changed`
  }
  const plain = manyNames.map(([action, name, done]): Action<Selection> => ({
    path: action,
    name: `${name}, by destination or tag`,
    fields: { dryRun },
    run: async (selection, by, given) => {
      if (given['dryRun'] !== undefined) return count(action, selection)
      return inTime(patienceMs, async (tell) => {
        const { done: jobs, left } = await operations.many(action, selection, by, tell)
        return `${plural(jobs, 'job')} ${done}${left === 0 ? '' : `, ${left} left: a worker has them`}`
      })
    },
  }))
  return [
    ...plain,
    {
      path: 'reroute',
      name: 'reroute, by destination or tag',
      fields: { ...way, dryRun },
      run: async (selection, by, given) =>
        given['dryRun'] === undefined
          ? inTime(patienceMs, async (tell) =>
              rerouted(await operations.rerouteMany(orderOf(given), selection, by, tell)),
            )
          : count('reroute', selection),
    },
  ]
}

async function inTime(patienceMs: number, run: (tell: TellProgress) => Promise<string>): Promise<string | GoesOn> {
  let [turns, total] = [0, 0]
  const end = run((...progress) => {
    ;[turns, total] = progress
  })
  return soonOrGoesOn(patienceMs, end, () => {
    const far = total === 0 ? 'they are still looked for' : `${turns} of ${plural(total, 'job')} had their turn`
    return `${far}; it goes on by itself, and the audit log tells the end`
  })
}

/** What came of it when it ends soon. @param soFar asked when it does not */
export async function soonOrGoesOn(
  patienceMs: number,
  end: Promise<string>,
  soFar: () => string,
): Promise<string | GoesOn> {
  const patience = new AbortController()
  try {
    const over = sleep(patienceMs, undefined, { signal: patience.signal }).catch(() => undefined)
    const said = await Promise.race([end, over])
    if (said !== undefined) return said
  } finally {
    patience.abort()
  }
  return { soFar: soFar(), end }
}

/** The sentence for now; the end of what goes on is told to the audit log. */
export function saidNow(did: string | GoesOn, record: (outcome: 'done' | 'refused', detail: string) => void): string {
  if (typeof did === 'string') return did
  void did.end.then(
    (detail) => record('done', detail),
    (error: unknown) => record('refused', `it broke off: ${(error as Error).message}`),
  )
  return did.soFar
}

function orderOf({ to, action, undo }: Given): GivenOrder {
  return { to, action, undo: undo !== undefined }
}

function rerouted({ done, left }: ManyDone): string {
  return `${plural(done, 'job')} rerouted${left === 0 ? '' : `, ${left} at work just now: they follow after that`}`
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
  for (const [path, selection] of selections) {
    for (const action of manyActions(parts.operations)) {
      app.post(`/${path}/:name/${action.path}`, (request, reply) => {
        const { name } = request.params as { readonly name: string }
        const target = selection(name)
        const page = `/${path}/${encodeURIComponent(name)}`
        return act(parts, { request, reply, page, about: describeSelection(target), action, target })
      })
    }
  }
}

/** What many are chosen by, under the first part of its path. */
export const selections: readonly (readonly [path: 'destinations' | 'tags', selection: (name: string) => Selection])[] =
  [
    ['destinations', (destination) => ({ kind: 'destination', destination })],
    ['tags', (tag) => ({ kind: 'tag', tag })],
  ]

export function describeSelection(selection: Selection): string {
  return selection.kind === 'tag' ? `tag ${selection.tag}` : `destination ${selection.destination}`
}

export interface Asked<Target> {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  /** Where it was asked, and where it leads back to. */
  readonly page: string
  readonly about: string
  readonly action: Action<Target>
  readonly target: Target
}

/** Does what a form of a page asks for, and leads back to the page. */
export async function act<Target>(parts: Omit<ActionParts, 'operations'>, asked: Asked<Target>): Promise<FastifyReply> {
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
  if (action.role === 'admin' && !isAtLeast(visitor.role, 'admin')) return refuse(403, 'this is for admins')
  try {
    const did = await action.run(target, `${visitor.name} (dashboard)`, givenByForm(request, action.fields))
    const told = saidNow(did, (outcome, detail) => record(parts, asked, { visitor, outcome, detail }))
    record(parts, asked, { visitor, outcome: 'done', detail: told })
    return reply.redirect(`${page}?done=${typeof did === 'string' ? action.path : 'goes-on'}`, 303)
  } catch (error) {
    if (error instanceof OperationError) return refuse(409, error.message)
    if (error instanceof QueueUnavailableError) return refuse(503, error.message)
    record(parts, asked, { visitor, outcome: 'refused', detail: 'it failed; the log says why' })
    throw error
  }
}

function record<Target>(
  { access, audit }: Pick<ActionParts, 'access' | 'audit'>,
  { request, action, about }: Asked<Target>,
  how: { readonly visitor: Visitor; readonly outcome: 'done' | 'refused'; readonly detail: string },
): void {
  const { visitor, outcome, detail } = how
  const from = access.client(request).address
  audit.record({ by: visitor.name ?? 'unknown', from, action: action.name, about, outcome, detail })
}
