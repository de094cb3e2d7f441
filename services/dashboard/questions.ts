import type { FastifyRequest } from 'fastify'

import { jobStates } from './pages/queue-page.ts'
import type { JobQuestion } from './source.ts'

const jobsPerPage = 100

/** A text of the query; a name that is there more than once is not. */
export function queryText(request: FastifyRequest, name: string): string | undefined {
  const value = (request.query as Readonly<Record<string, unknown>>)[name]
  return typeof value === 'string' ? value : undefined
}

/** `?state=delayed&start=100`; what cannot be understood is left out. */
export function jobQuestion(request: FastifyRequest): JobQuestion {
  const state = jobStates.find((one) => one === queryText(request, 'state'))
  const start = Number(queryText(request, 'start') ?? '0')
  return {
    ...(state === undefined ? {} : { state }),
    start: Number.isSafeInteger(start) && start > 0 ? start : 0,
    limit: jobsPerPage,
  }
}
