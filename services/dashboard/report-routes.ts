import { longestDays, shortestDays } from '../../shared/received-reports/period.ts'
import { usualDays } from '../../shared/received-reports/views.ts'
import { seenOr503 } from './api-error.ts'
import type { ApiRoute } from './api-route.ts'
import { reportSchemas } from './report-schemas.ts'
import { reportQuestion } from './questions.ts'
import type { Schema } from './schema.ts'
import type { Source } from './source.ts'

const days: Schema = {
  type: 'integer',
  description: `Of the last so many days, ${shortestDays} to ${longestDays}; ${usualDays}.`,
}

const query: NonNullable<ApiRoute['query']> = {
  days,
  domain: { type: 'string', description: 'On this domain only.' },
}

/** What others report to us. */
export function reportRoutes({ reports }: Source): readonly ApiRoute[] {
  return [
    {
      method: 'GET',
      path: '/api/v1/reports/dmarc',
      scope: 'read',
      summary: 'What receivers report of mail in the name of domains, those with the most failures first',
      query,
      answer: reportSchemas.dmarcReports,
      run: (request) => reports.dmarc(reportQuestion(request)),
    },
    {
      method: 'GET',
      path: '/api/v1/reports/tls',
      scope: 'read',
      summary: 'What senders report of TLS with the mail hosts of domains, those with the most failures first',
      query,
      answer: reportSchemas.tlsReports,
      run: (request) => reports.tls(reportQuestion(request)),
    },
    {
      method: 'GET',
      path: '/api/v1/reports/abuse',
      scope: 'read',
      summary: 'Complaints of single messages, and reports of failed authentication, the newest first',
      query,
      answer: reportSchemas.abuseReports,
      run: (request) => reports.abuse(reportQuestion(request)),
    },
    {
      method: 'GET',
      path: '/api/v1/reports/traffic',
      scope: 'read',
      summary: 'Recipients that failed, by domain or host and what the reply was about, and who sends most',
      query: { days },
      answer: reportSchemas.traffic,
      run: async (request) => {
        const { sinceAt, ...traffic } = await reports.traffic(reportQuestion(request).days)
        return { sinceAt, ...seenOr503(traffic) }
      },
    },
    {
      method: 'GET',
      path: '/api/v1/reports/hours',
      scope: 'read',
      summary: 'What came in each of the last 24 hours and became of it, in recipients; at most a minute old',
      answer: reportSchemas.hours,
      run: async () => {
        const { sinceAt, ...hours } = await reports.hours()
        return { sinceAt, hours: seenOr503(hours) }
      },
    },
    {
      method: 'GET',
      path: '/api/v1/reports/recipients',
      scope: 'read',
      summary: 'Domains that most mail went to, and how much of it failed',
      query: { days },
      answer: reportSchemas.recipientDomains,
      run: async (request) => {
        const { sinceAt, ...domains } = await reports.recipients(reportQuestion(request).days)
        return { sinceAt, domains: seenOr503(domains) }
      },
    },
  ]
}
