import type { FastifyRequest } from 'fastify'

import { longestDays, shortestDays } from '../../shared/received-reports/period.ts'
import { usualDays } from '../../shared/received-reports/views.ts'
import type { ReportQuestion } from '../../shared/received-reports/views.ts'
import { jobStates } from './pages/queue-page.ts'
import type { ExplainForm } from './explain-question.ts'
import type { FindQuestion, JobQuestion } from './source.ts'

const jobsPerPage = 100
const messagesPerPage = 50
const mostMessages = 500

/** A text of the query; a name that is there more than once is not. */
export function queryText(request: FastifyRequest, name: string): string | undefined {
  const value = (request.query as Readonly<Record<string, unknown>>)[name]
  return typeof value === 'string' ? value : undefined
}

/** `?state=delayed&start=100`; what cannot be understood is left out. */
export function jobQuestion(request: FastifyRequest): JobQuestion {
  const state = jobStates.find((one) => one === queryText(request, 'state'))
  return { ...(state === undefined ? {} : { state }), start: startQuestion(request), limit: jobsPerPage }
}

/** `?start=100`: so many are left out. */
export function startQuestion(request: FastifyRequest): number {
  const start = Number(queryText(request, 'start') ?? '0')
  return Number.isSafeInteger(start) && start > 0 ? start : 0
}

/** `?days=30&domain=example.org`; what cannot be understood is left out. */
export function reportQuestion(request: FastifyRequest): ReportQuestion {
  const days = Number(queryText(request, 'days') ?? usualDays)
  const domain = (queryText(request, 'domain') ?? '').trim().toLowerCase().slice(0, 253)
  const isPossible = Number.isSafeInteger(days) && days >= shortestDays && days <= longestDays
  return { days: isPossible ? days : usualDays, ...(domain === '' ? {} : { domain }) }
}

/** `?q=...&before=...`; a `before` that is none of ours is left out. */
export function findQuestion(request: FastifyRequest, name: string): FindQuestion {
  const before = queryText(request, 'before')
  const limit = Number(queryText(request, 'limit') ?? messagesPerPage)
  return {
    query: (queryText(request, name) ?? '').trim(),
    ...(before !== undefined && /^\d{1,16}$/.test(before) ? { before } : {}),
    limit: Number.isSafeInteger(limit) && limit > 0 ? Math.min(limit, mostMessages) : messagesPerPage,
  }
}

/** The form of the page Rules. */
export function explainForm(request: FastifyRequest): ExplainForm {
  const text = (name: string): string => (queryText(request, name) ?? '').trim().slice(0, 320)
  return {
    rcpt: text('rcpt'),
    from: text('from'),
    client: text('client'),
    helo: text('helo'),
    user: text('user'),
    tag: text('tag'),
    tls: queryText(request, 'tls') !== undefined,
  }
}
