import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

import type { FiltersView } from '../../shared/filter-tally/view.ts'
import type { ApiRoute } from './api-route.ts'
import { filterDays, filtersPage } from './pages/filters-page.ts'
import type { Page } from './pages/layout.ts'
import { queryText } from './questions.ts'
import { count, instant, list, object, text } from './schema.ts'
import type { Schema } from './schema.ts'

/** What filters did in the last so many days; asked at each request. */
export type ViewFilters = (days: number) => Promise<FiltersView>

type Show = (request: FastifyRequest, reply: FastifyReply, page: Page) => FastifyReply

/** The page Filters. */
export function addFilters(app: FastifyInstance, view: ViewFilters, show: Show): void {
  app.get('/filters', async (request, reply) => {
    const days = daysOf(request)
    return show(request, reply, filtersPage(await view(days), days))
  })
}

const counts: Schema = { type: 'object', additionalProperties: true }

/** Of `/api/v1`. */
export function filterApi(view: ViewFilters): readonly ApiRoute[] {
  return [
    {
      method: 'GET',
      path: '/api/v1/filters',
      scope: 'read',
      summary: 'How filters answer, how long they take, and what became of mail',
      query: { days: { type: 'integer', description: `Of the last so many days: ${filterDays.join(', ')}; 1.` } },
      answer: object({
        at: instant,
        sinceAt: instant,
        engines: list(
          object({
            name: text,
            'what?': { ...text, description: 'Absent: it is not in the configuration any more.' },
            health: {
              type: 'string',
              enum: ['good', 'failing', 'silent'],
              description: '`failing`: its last answer was none. `silent`: it was not asked in this time.',
            },
            last: object({
              'okAt?': instant,
              'tookMs?': { type: 'number' },
              'failedAt?': instant,
              'status?': text,
              'reason?': text,
            }),
            answers: { ...count, description: 'How often it was asked.' },
            failures: { ...counts, description: 'How often no answer came, by status.' },
            buckets: {
              type: 'array',
              items: count,
              description: 'Answers by the time they took, up to 1, 2.5, 5, 10, 25 ms and so on to 60 s, and longer.',
            },
            'percentiles?': object({ p50: { type: 'number' }, p95: { type: 'number' }, p99: { type: 'number' } }),
          }),
        ),
        mix: list(object({ at: instant, verdicts: { ...counts, description: 'Messages by what became of them.' } })),
        findings: list(object({ method: text, results: counts })),
      }),
      run: (request) => view(daysOf(request)),
    },
  ]
}

/** What cannot be understood is a day. */
function daysOf(request: FastifyRequest): number {
  const wanted = Number(queryText(request, 'days'))
  return filterDays.find((one) => one === wanted) ?? 1
}
