import type { AbuseReport } from '../../shared/received-reports/model.ts'
import { partFields } from '../../shared/mail/mime-fields.ts'
import type { Content } from './dmarc-xml.ts'
import { ReportFault, addressOf, countOf, domainOf, instantOf, textOf, wordOf } from './values.ts'

/**
 * Reads the machine part of a complaint (RFC 5965 §3) or of a report of failed authentication (RFC 6591 §3). Addresses, and the message
 * that is reported, are not kept.
 * @param section message/feedback-report, in latin1
 * @throws ReportFault
 */
export function parseAbuseFields(section: string): Content<AbuseReport> {
  const fields = new Map<string, string>()
  for (const { name, value } of partFields(section)) if (!fields.has(name)) fields.set(name, value)
  const type = wordOf(fields.get('feedback-type'))
  if (type === undefined) throw new ReportFault('the feedback report has no Feedback-Type')
  const optional = {
    domain: domainOf(fields.get('reported-domain')) ?? domainOf(fields.get('dkim-domain')),
    sourceIp: addressOf(fields.get('source-ip')),
    arrivedAt: instantOf(fields.get('arrival-date') ?? fields.get('received-date')),
    authFailure: wordOf(fields.get('auth-failure')),
    deliveryResult: wordOf(fields.get('delivery-result')),
  }
  return {
    kind: 'abuse',
    type,
    org: reporterOf(fields.get('reporting-mta')) ?? textOf(fields.get('user-agent')) ?? 'unknown',
    incidents: countOf(fields.get('incidents')) ?? 1,
    ...Object.fromEntries(Object.entries(optional).filter(([, found]) => found !== undefined)),
  }
}

/** `dns; mail.example.com` */
function reporterOf(value: string | undefined): string | undefined {
  return textOf(value?.replace(/^[^;]*;/, ''))
}
