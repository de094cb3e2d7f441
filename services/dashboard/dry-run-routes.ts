import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

import type { Audit } from '../../shared/audit.ts'
import type { Clock } from '../../shared/clock.ts'
import { isAtLeast } from '../../shared/config/operators.ts'
import type { SpamThresholds } from '../../shared/config/model.ts'
import type { DryRuns } from '../../shared/dry-run/dry-runs.ts'
import { OperationError } from '../../shared/operate/operation-error.ts'
import type { Access } from './access.ts'
import { FieldsError, givenByForm, givenByJson } from './action-fields.ts'
import type { Fields, Given } from './action-fields.ts'
import { ApiError } from './api-error.ts'
import type { ApiRoute } from './api-route.ts'
import { dryRunPage, dryRunStatePage } from './pages/dry-run-page.ts'
import { errorPage } from './pages/error-page.ts'
import type { Page } from './pages/layout.ts'
import { staleFormPage } from './pages/sign-in-page.ts'
import { count, instant, list, object, text } from './schema.ts'
import { addUploadParser } from './upload-parser.ts'
import { anybody } from './visitor.ts'
import type { Visitor } from './visitor.ts'

export interface DryRunParts {
  readonly runs: DryRuns
  readonly access: Access
  readonly audit: Pick<Audit, 'record'>
  readonly clock: Clock
}

interface PageParts extends DryRunParts {
  show(request: FastifyRequest, reply: FastifyReply, page: Page): FastifyReply
}

/** Of a form or a program: two files and some words. */
const mostBytes = 2 * 1024 * 1024
const mostDays = 90
const usualDays = 3
const actions = ['junk', 'quarantine', 'reject', 'discard'] as const

const fields = {
  smtpdConf: { type: 'string', description: 'The whole text, in place of smtpd.conf in force.' },
  pipelineConf: { type: 'string', description: 'The whole text, in place of pipeline.conf in force.' },
  days: { type: 'string', description: `Of what came in the last so many days (${usualDays}); ${mostDays} at most.` },
  junk: { type: 'string', description: 'Threshold of `spam`, in place of the one that is stated.' },
  quarantine: { type: 'string', description: 'The same.' },
  reject: { type: 'string', description: 'The same.' },
  discard: { type: 'string', description: 'The same.' },
} as const satisfies Fields

/** Administrators alone: the texts in force are shown, and secrets may stand in them. */
export function addDryRuns(app: FastifyInstance, parts: PageParts): void {
  const { runs, clock, show, access } = parts
  const mayTry = (request: FastifyRequest): Visitor | undefined => {
    const visitor = access.visitor(request) ?? anybody
    return isAtLeast(visitor.role, 'admin') && visitor.acts ? visitor : undefined
  }
  const refused = (request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const detail = 'A changed configuration is tried by administrators.'
    const visitor = access.visitor(request) ?? anybody
    if (visitor.name !== undefined)
      record(parts, request, { visitor, action: actionOf(request.url), outcome: 'refused', detail })
    return show(request, reply.code(403), errorPage('Not for you', detail, clock.now()))
  }

  app.get('/rules/dry-run', async (request, reply) => {
    const visitor = mayTry(request)
    if (visitor === undefined) return refused(request, reply)
    return show(request, reply, dryRunPage({ texts: runs.texts(), days: usualDays, visitor }, clock.now()))
  })

  app.get('/rules/dry-run/result', async (request, reply) => {
    const visitor = mayTry(request)
    if (visitor === undefined) return refused(request, reply)
    return show(request, reply, dryRunStatePage(runs.state, visitor, clock.now()))
  })

  void app.register((scope, _options, done) => {
    addUploadParser(scope)
    for (const [path, bodyLimit] of [
      ['/rules/dry-run', mostBytes],
      ['/rules/dry-run/cancel', 8 * 1024],
    ] as const)
      scope.post(path, { bodyLimit }, (request, reply) => take(path, request, reply))
    done()
  })

  async function take(path: string, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const visitor = mayTry(request)
    if (visitor === undefined) return refused(request, reply)
    if (!access.ownsForm(request)) return reply.code(403).type('text/html; charset=utf-8').send(staleFormPage().text)
    const given = givenByForm(request, fields)
    try {
      if (path === '/rules/dry-run') begin(parts, request, given, visitor)
      else if (runs.cancel()) record(parts, request, { visitor, action: actionOf(path), outcome: 'done' })
      return await reply.redirect('/rules/dry-run/result', 303)
    } catch (error) {
      if (!(error instanceof OperationError)) throw error
      const view = { texts: runs.texts(), given, days: usualDays, visitor, problem: error.message }
      return show(request, reply.code(409), dryRunPage(view, clock.now()))
    }
  }
}

function actionOf(path: string): string {
  return path.endsWith('/cancel') ? 'cancel dry run' : 'try a configuration'
}

const change = object({
  from: text,
  to: text,
  recipients: count,
  examples: list(object({ id: text, from: { type: ['string', 'null'] }, to: text })),
})

const state = object({
  by: text,
  startedAt: instant,
  days: { type: 'number' },
  messages: { ...count, description: 'Judged so far.' },
  outcome: object({
    kind: { type: 'string', enum: ['running', 'cancelled', 'done', 'refused', 'failed'] },
    'reason?': { ...text, description: 'Why it is none, or broke off.' },
    'warnings?': list(text),
    'endedAt?': instant,
    'found?': object({
      sinceAt: instant,
      messages: count,
      recipients: count,
      unchanged: count,
      changed: count,
      notJudged: count,
      changedSince: count,
      changes: list(change),
      reasons: list(object({ reason: text, recipients: count })),
      notTried: list(text),
    }),
  }),
})

const answer = object({ 'state?': { ...state, description: 'Absent: none was since this process started.' } })

/** For programs, by a scope of its own, as the pages are for administrators alone: a changed configuration is sent, and asked for until it has been tried. */
export function dryRunApiRoutes(parts: DryRunParts): readonly ApiRoute[] {
  const { runs } = parts
  const told = (): { readonly state?: object } => (runs.state === undefined ? {} : { state: runs.state })
  return [
    {
      method: 'POST',
      path: '/api/v1/dry-run',
      scope: 'configuration',
      summary: 'Try a changed configuration on recorded traffic, in the background; nothing changes',
      action: 'try a configuration',
      fields,
      mostBytes,
      answer,
      run: async (request, caller) => {
        try {
          begin(parts, request, givenByJson(request, fields), caller)
        } catch (error) {
          if (error instanceof FieldsError) throw new ApiError(400, error.message)
          if (error instanceof OperationError) throw new ApiError(409, error.message)
          throw error
        }
        return told()
      },
    },
    {
      method: 'GET',
      path: '/api/v1/dry-run',
      scope: 'configuration',
      summary: 'The dry run that is under way, or the last one',
      answer,
      run: async () => told(),
    },
    {
      method: 'POST',
      path: '/api/v1/dry-run/cancel',
      scope: 'configuration',
      summary: 'Cancel the dry run that is under way',
      action: 'cancel dry run',
      answer,
      run: async (request, caller) => {
        if (runs.cancel()) record(parts, request, { visitor: caller, action: 'cancel dry run', outcome: 'done' })
        return told()
      },
    },
  ]
}

/** @throws OperationError for what cannot be asked, or while another runs */
function begin(parts: DryRunParts, request: FastifyRequest, given: Given, visitor: Visitor): void {
  const action = 'try a configuration'
  try {
    const days = numberOf(given, 'days') ?? usualDays
    if (days <= 0 || days > mostDays) throw new OperationError(`days: more than 0, and ${mostDays} at most`)
    const { smtpdConf, pipelineConf } = given
    parts.runs.begin({ smtpdConf, pipelineConf, days, thresholds: thresholdsOf(given) }, visitor.name ?? 'unknown')
    record(parts, request, { visitor, action, outcome: 'done' })
  } catch (error) {
    if (error instanceof OperationError)
      record(parts, request, { visitor, action, outcome: 'refused', detail: error.message })
    throw error
  }
}

function thresholdsOf(given: Given): Partial<SpamThresholds> {
  const stated = actions.map((action) => [action, numberOf(given, action)] as const)
  return Object.fromEntries(stated.filter(([, value]) => value !== undefined))
}

/** @throws OperationError */
function numberOf(given: Given, name: string): number | undefined {
  const written = given[name]
  if (written === undefined) return undefined
  const value = Number(written)
  if (!/^-?\d{1,6}(?:\.\d{1,3})?$/.test(written)) throw new OperationError(`${name}: '${written}' is not a number`)
  return value
}

function record(
  { access, audit }: DryRunParts,
  request: FastifyRequest,
  { visitor, ...done }: { visitor: Visitor; action: string; outcome: 'done' | 'refused'; detail?: string },
): void {
  audit.record({
    by: visitor.name ?? 'unknown',
    from: access.client(request).address,
    about: 'configuration',
    ...done,
  })
}
