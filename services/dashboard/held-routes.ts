import type { FastifyInstance, FastifyRequest } from 'fastify'

import { OperationError } from '../../shared/operate/operation-error.ts'
import type { Operations } from '../../shared/operate/operations.ts'
import { isMessageId } from '../../shared/mail/message-id.ts'
import type { MessageId } from '../../shared/mail/message-id.ts'
import { QueueUnavailableError } from '../../shared/queue/unavailable.ts'
import { plural } from '../../shared/report/units.ts'
import type { JobView } from '../../shared/report/views.ts'
import { messageActions } from './actions.ts'
import type { Action } from './actions.ts'
import { actOnForm } from './form-act.ts'
import type { FormParts } from './form-act.ts'
import { chosenPage, heldActions, isVirus } from './pages/chosen-page.ts'
import type { DoneBefore } from './pages/chosen-page.ts'
import { errorPage } from './pages/error-page.ts'
import { heldPage, heldPerPage } from './pages/held-page.ts'
import { queryText, startQuestion } from './questions.ts'
import type { Source } from './source.ts'
import { anybody } from './visitor.ts'
import type { Visitor } from './visitor.ts'

export interface HeldParts extends FormParts {
  readonly source: Pick<Source, 'held'>
  readonly operations: Operations
}

/** Among so many held messages those that were chosen are looked for. */
const mostHeld = 2_000

/** All that is held, and what is done to those that were chosen: told first, then a button. */
export function addHeld(app: FastifyInstance, parts: HeldParts): void {
  const { source, access, show } = parts
  const visitorOf = (request: FastifyRequest): Visitor => access.visitor(request) ?? anybody

  app.get('/held', async (request, reply) => {
    const start = startQuestion(request)
    const { jobs, at } = await source.held({ start, limit: heldPerPage })
    const allChosen = queryText(request, 'all') !== undefined
    const look = { start, allChosen, before: doneBefore(request), visitor: visitorOf(request) }
    return show(request, reply, heldPage(jobs, look, at))
  })

  for (const action of messageActions(parts.operations)) {
    const what = heldActions.find((one) => one === action.path)
    if (what === undefined) continue
    app.get(`/held/${what}`, async (request, reply) => {
      const visitor = visitorOf(request)
      if (!visitor.acts) return reply.redirect('/held', 303)
      const ids = new Set<string>(idsOf((request.query as { readonly id?: unknown }).id))
      const { jobs, at } = await source.held({ start: 0, limit: mostHeld })
      if (jobs.kind === 'away') return show(request, reply.code(503), errorPage('Redis is away', jobs.reason, at))
      const chosen = jobs.value.filter(({ id }) => ids.has(id))
      const before = doneBefore(request)
      return show(request, reply, chosenPage({ action: what, chosen, asked: ids.size, before, visitor }, at))
    })
    app.post(`/held/${what}`, (request, reply) => {
      const ids = idsOf(request.body instanceof URLSearchParams ? request.body.getAll('id') : [])
      const asked = { request, reply, action: action.name, about: plural(ids.length, 'held message'), back: '/held' }
      return actOnForm(parts, asked, async ({ by, name, from }) => {
        const left: MessageId[] = []
        const held = await heldNow(parts)
        for (const id of ids) {
          const { outcome, detail } = await doTo(action, { id, by, jobs: held.filter((job) => job.id === id) })
          parts.audit.record({ by: name, from, action: action.name, about: id, outcome, detail })
          if (outcome === 'refused') left.push(id)
        }
        const done = `done=${what}&messages=${ids.length - left.length}`
        return left.length === 0 ? `/held?${done}` : `/held/${what}?${done}${left.map((id) => `&id=${id}`).join('')}`
      })
    })
  }
}

/** What the form that led here did, and to how many. */
function doneBefore(request: FastifyRequest): DoneBefore | undefined {
  const done = heldActions.find((one) => one === queryText(request, 'done'))
  const messages = Number(queryText(request, 'messages'))
  return done !== undefined && Number.isSafeInteger(messages) && messages >= 0 ? { done, messages } : undefined
}

async function heldNow({ source }: HeldParts): Promise<readonly JobView[]> {
  const { jobs } = await source.held({ start: 0, limit: mostHeld })
  if (jobs.kind === 'away') throw new OperationError(jobs.reason)
  return jobs.value
}

interface Turn {
  readonly id: MessageId
  readonly by: string
  readonly jobs: readonly JobView[]
}

/** One that cannot be done stops none of the others. */
async function doTo(
  { path, run }: Action<MessageId>,
  { id, by, jobs }: Turn,
): Promise<{ readonly outcome: 'done' | 'refused'; readonly detail: string }> {
  if (path.startsWith('release') && jobs.length === 0)
    return { outcome: 'refused', detail: 'it is not held any more, or not among those that are shown' }
  if (path.startsWith('release') && jobs.some(isVirus))
    return { outcome: 'refused', detail: 'it has a virus: such a message is released on its own page' }
  try {
    const did = await run(id, by, {})
    return { outcome: 'done', detail: typeof did === 'string' ? did : did.soFar }
  } catch (error) {
    if (!(error instanceof OperationError || error instanceof QueueUnavailableError)) throw error
    return { outcome: 'refused', detail: error.message }
  }
}

/** Each once, as many as a page shows. */
function idsOf(given: unknown): readonly MessageId[] {
  const all = (Array.isArray(given) ? given : [given]) as readonly unknown[]
  const ids = all.filter((one): one is MessageId => typeof one === 'string' && isMessageId(one))
  return [...new Set(ids)].slice(0, heldPerPage)
}
