import type { FastifyInstance, FastifyRequest } from 'fastify'

import type { Logger } from '../../shared/log.ts'
import type { BulkRuns } from '../../shared/operate/bulk-runs.ts'
import { QueryError } from '../../shared/store/query.ts'
import { field } from './access.ts'
import { givenByForm } from './action-fields.ts'
import { beginRun, orderFields, orderOf, resumeRun } from './bulk-desk.ts'
import { actOnForm } from './form-act.ts'
import type { FormParts } from './form-act.ts'
import { bulkPage } from './pages/bulk-page.ts'
import { runPage, runsPage } from './pages/runs-page.ts'
import { errorPage } from './pages/error-page.ts'
import { queryText } from './questions.ts'
import type { Source } from './source.ts'
import { anybody } from './visitor.ts'
import type { Visitor } from './visitor.ts'

export interface BulkRouteParts extends FormParts {
  readonly source: Pick<Source, 'find' | 'relayActions'>
  readonly runs: BulkRuns
  readonly log: Logger
}

const firstShown = 5

/** What is done to all that a search finds: the numbers first, then a button, then how far it is. */
export function addBulk(app: FastifyInstance, parts: BulkRouteParts): void {
  const { source, runs, access, clock, log, show } = parts
  const visitorOf = (request: FastifyRequest): Visitor => access.visitor(request) ?? anybody

  app.get('/messages/actions', async (request, reply) => {
    const query = (queryText(request, 'q') ?? '').trim()
    const asOf = clock.now()
    const look = { query, asOf, visitor: visitorOf(request), actions: source.relayActions() }
    try {
      const { found } = await source.find({ query, limit: firstShown })
      if (found.kind === 'away')
        return show(request, reply.code(503), errorPage('The message store cannot be asked', found.reason, asOf))
      const preview = await runs.preview({ query, asOf })
      return show(request, reply, bulkPage({ ...look, preview, first: found.value.messages }, asOf))
    } catch (error) {
      if (!(error instanceof QueryError)) throw error
      return show(request, reply.code(400), errorPage('This cannot be looked for', error.message, asOf))
    }
  })

  app.get('/messages/runs', async (request, reply) => show(request, reply, runsPage(await runs.list(), clock.now())))

  app.get('/messages/runs/:run', async (request, reply) => {
    const run = await runs.find(runOf(request))
    if (run === undefined)
      return show(request, reply.code(404), errorPage('No such run', 'Runs are kept for 30 days.', clock.now()))
    return show(request, reply, runPage(run, visitorOf(request), clock.now()))
  })

  app.post('/messages/actions', (request, reply) => {
    const query = field(request, 'q')?.trim() ?? ''
    const back = `/messages/actions?${new URLSearchParams({ q: query }).toString()}`
    return actOnForm(
      parts,
      { request, reply, action: 'act on what a search found', about: query, back },
      async (asker) => {
        const order = orderOf(givenByForm(request, orderFields), query, previewedAt(request, clock.now()))
        const { id } = await beginRun(runs, order, asker, log)
        return `/messages/runs/${id}`
      },
    )
  })

  for (const what of ['cancel', 'resume'] as const) {
    app.post(`/messages/runs/:run/${what}`, (request, reply) => {
      const id = runOf(request)
      const back = `/messages/runs/${encodeURIComponent(id)}`
      return actOnForm(parts, { request, reply, action: `${what} run`, about: id, back }, async (asker) => {
        if (what === 'cancel') await runs.cancel(id, asker)
        else await resumeRun(runs, id, asker, log)
        return back
      })
    })
  }
}

/** The time of the page that the form stood on, so that nothing is meant that it did not count. */
function previewedAt(request: FastifyRequest, nowAt: number): number {
  const at = Number(field(request, 'asOf'))
  return Number.isSafeInteger(at) && at > 0 && at <= nowAt ? at : nowAt
}

function runOf(request: FastifyRequest): string {
  return (request.params as { readonly run: string }).run
}
