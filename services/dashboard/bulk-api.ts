import type { FastifyRequest } from 'fastify'

import type { Clock } from '../../shared/clock.ts'
import type { Audit } from '../../shared/audit.ts'
import type { Logger } from '../../shared/log.ts'
import type { BulkRun } from '../../shared/operate/bulk-files.ts'
import { bulkActions, countFor } from '../../shared/operate/bulk-order.ts'
import type { BulkOrder, BulkPreview } from '../../shared/operate/bulk-order.ts'
import { describeRun, pastName } from '../../shared/operate/bulk-runs.ts'
import type { BulkRuns } from '../../shared/operate/bulk-runs.ts'
import { plural } from '../../shared/report/units.ts'
import { copyStates } from '../../shared/store/copy-state.ts'
import { queryExample } from '../../shared/store/query.ts'
import type { Access } from './access.ts'
import type { Fields } from './action-fields.ts'
import { actByApi, givenOr400 } from './api-act.ts'
import { ApiError } from './api-error.ts'
import type { ApiRoute } from './api-route.ts'
import { beginRun, orderFields, orderOf, resumeRun } from './bulk-desk.ts'
import { count, flag, instant, list, object, text } from './schema.ts'

export interface BulkApiParts {
  readonly runs: BulkRuns
  readonly access: Access
  readonly audit: Pick<Audit, 'record'>
  readonly clock: Clock
  readonly log: Logger
}

const fields = {
  query: { type: 'string', description: `In the search language: ${queryExample}. Empty: all.` },
  ...orderFields,
  dryRun: { type: 'boolean', description: 'Tells what is found and would be done, and changes nothing.' },
} as const satisfies Fields

const run = object({
  id: text,
  query: text,
  action: { type: 'string', enum: bulkActions },
  by: text,
  startedAt: instant,
  state: { type: 'string', enum: ['running', 'stopped', 'cancelled', 'failed', 'done'] },
  messages: { ...count, description: 'That are meant.' },
  turns: { ...count, description: 'Messages that had their turn.' },
  done: { ...count, description: 'Jobs it was done to; messages that were replayed.' },
  left: { ...count, description: 'A worker had them, or they could not be.' },
  'reason?': { ...text, description: 'Why it failed, or one of them was left.' },
  says: { ...text, description: 'How far it is, one sentence.' },
  at: { ...instant, description: 'Its last sign of life.' },
})

const begun = object({
  done: { ...text, description: 'What came of it, one sentence.' },
  'run?': { ...text, description: 'Its id: it goes on by itself.' },
  messages: { ...count, description: 'That it is done to.' },
  'found?': count,
  'cut?': { ...flag, description: 'There are more than are taken at once.' },
  'states?': list(object({ state: { type: 'string', enum: copyStates }, copies: count })),
})

/** What is done to all that a search finds. */
export function bulkRoutes(parts: BulkApiParts): readonly ApiRoute[] {
  const { runs, clock, log } = parts
  return [
    {
      method: 'POST',
      path: '/api/v1/messages/actions',
      scope: 'messages',
      summary: 'Do something to all that a search finds, in the background',
      action: 'act on what a search found',
      fields,
      answer: begun,
      run: (request, caller) => {
        const asked = givenOr400(request, fields)
        const { query = '', dryRun } = asked
        return actByApi(
          parts,
          { request, caller, action: 'act on what a search found', about: query },
          async (asker) => {
            const order = orderOf(asked, query.trim(), clock.now())
            if (dryRun !== undefined) return previewed(order, await runs.preview(order))
            const { id, messages } = await beginRun(runs, order, asker, log)
            return { done: `run ${id} of ${plural(messages, 'message')} goes on by itself`, run: id, messages }
          },
        )
      },
    },
    {
      method: 'GET',
      path: '/api/v1/runs',
      scope: 'read',
      summary: 'What was done to all that a search found in the last 30 days, newest first',
      answer: object({ runs: list(run) }),
      run: async () => ({ runs: (await runs.list()).map(shown) }),
    },
    {
      method: 'GET',
      path: '/api/v1/runs/:run',
      scope: 'read',
      summary: 'How far one of these is',
      answer: run,
      run: async (request) => {
        const found = await runs.find(runOf(request))
        if (found === undefined) throw new ApiError(404, 'no such run')
        return shown(found)
      },
    },
    ...(['cancel', 'resume'] as const).map((what): ApiRoute => ({
      method: 'POST',
      path: `/api/v1/runs/:run/${what}`,
      scope: 'messages',
      summary: what === 'cancel' ? 'Let a run end before its next piece' : 'Go on with a run that ended early',
      action: `${what} run`,
      answer: object({ done: text }),
      run: (request, caller) => {
        const id = runOf(request)
        return actByApi(parts, { request, caller, action: `${what} run`, about: id }, async (asker) => {
          if (what === 'cancel') await runs.cancel(id, asker)
          else await resumeRun(runs, id, asker, log)
          return { done: `run ${id} ${what === 'cancel' ? 'is cancelled' : 'goes on'}` }
        })
      },
    })),
  ]
}

function previewed(order: BulkOrder, preview: BulkPreview): object {
  const messages = countFor(preview, order)
  return {
    done: `${plural(messages, 'message')} would be ${pastName(order)}; nothing is changed`,
    messages,
    found: preview.messages,
    cut: preview.isCut,
    states: Object.entries(preview.states).map(([state, copies]) => ({ state, copies })),
  }
}

function shown(found: BulkRun): object {
  const { order, ...told } = found
  return { ...told, query: order.query, action: order.action, says: describeRun(found) }
}

function runOf(request: FastifyRequest): string {
  return (request.params as { readonly run: string }).run
}
