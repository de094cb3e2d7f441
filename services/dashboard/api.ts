import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

import type { Audit } from '../../shared/audit.ts'
import type { Teacher } from '../../shared/classifier/teacher.ts'
import type { Clock } from '../../shared/clock.ts'
import type { Logger } from '../../shared/log.ts'
import { isMessageId } from '../../shared/mail/message-id.ts'
import type { MessageId } from '../../shared/mail/message-id.ts'
import type { DryRuns } from '../../shared/dry-run/dry-runs.ts'
import type { BulkRuns } from '../../shared/operate/bulk-runs.ts'
import type { Operations } from '../../shared/operate/operations.ts'
import type { WebhookDesk } from '../../shared/webhooks/webhook-desk.ts'
import { QueryError, queryExample } from '../../shared/store/query.ts'
import type { Access } from './access.ts'
import { describeSelection, manyActions, messageActions, queueActions, selections } from './actions.ts'
import { actionByApi } from './api-act.ts'
import { ApiError, seenOr503 } from './api-error.ts'
import type { ApiRoute } from './api-route.ts'
import { schemas } from './api-schemas.ts'
import { bulkRoutes } from './bulk-api.ts'
import type { DomainDesk } from './domain-desk.ts'
import { domainApi } from './domain-routes.ts'
import { dryRunApiRoutes } from './dry-run-routes.ts'
import { filterApi } from './filter-routes.ts'
import type { ViewFilters } from './filter-routes.ts'
import { learnActions } from './learn-actions.ts'
import { addMailParser, mailOf, mostMailBytes } from './mail-body.ts'
import { openApiDocument } from './openapi.ts'
import { findQuestion, jobQuestion } from './questions.ts'
import { reportRoutes } from './report-routes.ts'
import { searchRoutes } from './search-api.ts'
import type { SearchShelf } from './search-shelf.ts'
import type { Source } from './source.ts'
import type { SystemDesk } from './system-desk.ts'
import { systemApi } from './system-routes.ts'
import { anybody } from './visitor.ts'
import type { Visitor } from './visitor.ts'
import { webhookApi } from './webhook-routes.ts'

export interface ApiParts {
  readonly source: Source
  readonly operations: Operations
  readonly teacher: Teacher
  readonly domains: DomainDesk
  readonly filters: ViewFilters
  readonly webhooks: WebhookDesk
  readonly system: SystemDesk
  readonly access: Access
  readonly audit: Audit
  /** What is done to all that a search finds. */
  readonly runs: BulkRuns
  readonly dryRuns: DryRuns
  readonly shelf: SearchShelf
  readonly clock: Clock
  readonly log: Logger
}

const mostHeld = 500

/** `/api/v1`: JSON for programs. A token needs the scope of what it asks; a browser that has signed in may read. */
export function addApi(app: FastifyInstance, parts: ApiParts): void {
  addMailParser(app)
  const routes = apiRoutes(parts)
  for (const route of routes) {
    const { method, path, scope, takesMail, givesMail, mostBytes, answer, run } = route
    app.route({
      method,
      url: path,
      ...(takesMail === true ? { bodyLimit: mostMailBytes } : {}),
      ...(mostBytes === undefined ? {} : { bodyLimit: mostBytes }),
      ...(givesMail === true ? {} : { schema: { response: { 200: answer } } }),
      handler: async (request: FastifyRequest, reply: FastifyReply) => {
        const caller = parts.access.visitor(request) ?? anybody
        try {
          if (!caller.scopes.has(scope)) throw outOfScope(parts, route, request, caller)
          const told = await run(request, caller)
          return givesMail === true ? await reply.type('message/rfc822').send(told) : told
        } catch (error) {
          if (error instanceof ApiError) return reply.code(error.code).send({ error: error.message })
          throw error
        }
      },
    })
  }
  const document = openApiDocument(routes)
  app.get('/api/v1/openapi.json', (_request, reply) => reply.send(document))
}

/** What would have changed something, or told what messages say, is kept as refused. */
function outOfScope(
  { access, audit }: ApiParts,
  { method, scope, summary, action = summary }: ApiRoute,
  request: FastifyRequest,
  { name: by }: Visitor,
): ApiError {
  const detail = `this needs a token of scope ${scope}`
  const about = Object.values(request.params as Readonly<Record<string, string>>)[0]
  if (by !== undefined && (method === 'POST' || scope === 'content')) {
    const from = access.client(request).address
    audit.record({ by, from, action, ...(about === undefined ? {} : { about }), outcome: 'refused', detail })
  }
  return new ApiError(403, detail)
}

function apiRoutes(parts: ApiParts): readonly ApiRoute[] {
  return [
    ...readingRoutes(parts),
    ...reportRoutes(parts.source),
    ...domainApi({ ...parts, desk: parts.domains }),
    ...filterApi(parts.filters),
    ...webhookApi(parts),
    ...systemApi({ desk: parts.system, source: parts.source, audit: parts.audit }),
    ...queueRoutes(parts),
    ...messageRoutes(parts),
    ...manyRoutes(parts),
    ...bulkRoutes(parts),
    ...dryRunApiRoutes({ ...parts, runs: parts.dryRuns }),
    ...searchRoutes(parts),
    ...learnRoutes(parts),
  ]
}

function readingRoutes({ source, access, audit }: ApiParts): readonly ApiRoute[] {
  return [
    {
      method: 'GET',
      path: '/api/v1/queues',
      scope: 'read',
      summary: 'All queues with their numbers',
      answer: schemas.queues,
      run: async () => {
        const { queues, at } = await source.overview()
        return { at, queues: seenOr503(queues) }
      },
    },
    {
      method: 'GET',
      path: '/api/v1/queues/:name',
      scope: 'read',
      summary: 'A queue and a page of its jobs',
      query: {
        state: { type: 'string', enum: ['waiting', 'active', 'delayed', 'held'] },
        start: { type: 'integer', description: 'How many to leave out; a page has up to 100 of each state.' },
      },
      answer: schemas.queue,
      run: async (request) => {
        const detail = await source.queue(parameter(request, 'name'), jobQuestion(request))
        if (detail === undefined) throw new ApiError(404, 'no such queue')
        const { queue, jobs, question, at } = detail
        return { at, ...seenOr503(queue), start: question.start, jobs: seenOr503(jobs) }
      },
    },
    {
      method: 'GET',
      path: '/api/v1/rules/hits',
      scope: 'read',
      summary: 'The rules and restrictions in force, in order, and how often each decided',
      answer: schemas.ruleHits,
      run: async () => ({ rules: await source.rules() }),
    },
    {
      method: 'GET',
      path: '/api/v1/held',
      scope: 'read',
      summary: `Held messages of all queues, at most ${mostHeld}`,
      answer: schemas.held,
      run: async () => {
        const { jobs, at } = await source.held({ start: 0, limit: mostHeld })
        return { at, jobs: seenOr503(jobs) }
      },
    },
    {
      method: 'GET',
      path: '/api/v1/destinations',
      scope: 'read',
      summary: 'Where mail goes out to, those in trouble first; made of the first 300 jobs of each state',
      answer: schemas.destinations,
      run: async () => {
        const { seen, at } = await source.destinations()
        return { at, ...seenOr503(seen) }
      },
    },
    {
      method: 'GET',
      path: '/api/v1/messages',
      scope: 'read',
      summary: 'Messages that are looked for, newest first',
      query: {
        query: { type: 'string', description: `In the search language: ${queryExample}. Absent: all.` },
        before: { type: 'string', description: '`next` of the page before.' },
        limit: { type: 'integer', description: 'At most so many, 500 or fewer; 50 when absent.' },
      },
      mayRefuse: true,
      answer: schemas.messages,
      run: async (request) => {
        try {
          const { found, at } = await source.find(findQuestion(request, 'query'))
          return { at, ...seenOr503(found) }
        } catch (error) {
          if (error instanceof QueryError) throw new ApiError(400, error.message, { cause: error })
          throw error
        }
      },
    },
    {
      method: 'GET',
      path: '/api/v1/messages/:id',
      scope: 'read',
      summary: 'Everything known about a message',
      answer: schemas.message,
      run: async (request) => {
        const id = messageId(request)
        const message = await source.message(id)
        if (message === undefined) throw new ApiError(404, 'no such message')
        const { jobs, ...told } = message
        if (jobs.kind === 'away') return { ...told, jobs: [], queuesAway: jobs.reason }
        return { ...told, jobs: jobs.value }
      },
    },
    {
      method: 'GET',
      path: '/api/v1/messages/:id/source',
      scope: 'content',
      summary: 'A message as it was received, while it is in the spool; it is kept who read it',
      action: 'read source',
      givesMail: true,
      answer: { type: 'string' },
      run: async (request, { name: by = 'unknown' }) => {
        const id = messageId(request)
        const stored = await source.content(id)
        if (stored === undefined) throw new ApiError(404, 'it is not in the spool')
        const from = access.client(request).address
        audit.record({ by, from, action: 'read source', about: id, outcome: 'done' })
        return stored.stream()
      },
    },
    {
      method: 'GET',
      path: '/api/v1/health',
      scope: 'read',
      summary: 'What is well and what is not; the code is 200 either way',
      answer: schemas.health,
      run: () => source.health(),
    },
  ]
}

function queueRoutes(parts: ApiParts): readonly ApiRoute[] {
  return queueActions(parts.operations).map((action) => ({
    method: 'POST',
    path: `/api/v1/queues/:name/${action.path}`,
    scope: 'queues',
    summary: action.name,
    ...(action.fields === undefined ? {} : { fields: action.fields }),
    answer: schemas.done,
    run: async (request, caller) => {
      const name = parameter(request, 'name')
      return actionByApi(parts, { request, caller, action, target: name, about: name })
    },
  }))
}

function messageRoutes(parts: ApiParts): readonly ApiRoute[] {
  return messageActions(parts.operations).map((action) => ({
    method: 'POST',
    path: `/api/v1/messages/:id/${action.path}`,
    scope: 'messages',
    summary: action.name,
    ...(action.fields === undefined ? {} : { fields: action.fields }),
    answer: schemas.done,
    run: async (request, caller) => {
      const id = messageId(request)
      return actionByApi(parts, { request, caller, action, target: id, about: id })
    },
  }))
}

function manyRoutes(parts: ApiParts): readonly ApiRoute[] {
  return selections.flatMap(([path, selection]) =>
    manyActions(parts.operations).map((action) => ({
      method: 'POST',
      path: `/api/v1/${path}/:name/${action.path}`,
      scope: 'messages',
      summary: action.name,
      ...(action.fields === undefined ? {} : { fields: action.fields }),
      answer: schemas.done,
      run: async (request, caller) => {
        const target = selection(parameter(request, 'name'))
        return actionByApi(parts, { request, caller, action, target, about: describeSelection(target) })
      },
    })),
  )
}

function learnRoutes(parts: ApiParts): readonly ApiRoute[] {
  return learnActions(parts.teacher).map((action) => ({
    method: 'POST',
    path: `/api/v1/learn/${action.path}`,
    scope: 'learn',
    summary: action.name,
    takesMail: true,
    answer: schemas.done,
    run: async (request, caller) => {
      const mail = mailOf(request)
      if (mail === undefined) throw new ApiError(415, 'send the message along, as message/rfc822')
      return actionByApi(parts, { request, caller, action, target: mail })
    },
  }))
}

function messageId(request: FastifyRequest): MessageId {
  const id = parameter(request, 'id')
  if (!isMessageId(id)) throw new ApiError(404, 'no such message')
  return id
}

function parameter(request: FastifyRequest, name: string): string {
  const value = (request.params as Readonly<Record<string, unknown>>)[name]
  return typeof value === 'string' ? value : ''
}
