import type { TlsFailure, TlsPolicyResult, TlsReport } from '../../shared/received-reports/model.ts'
import type { Content } from './dmarc-xml.ts'
import { ReportFault, addressOf, countOf, domainOf, instantOf, textOf, wordOf } from './values.ts'

const mostPolicies = 200
const mostFailures = 500

/**
 * Reads a report on TLS (RFC 8460 §4.4). Fields it does not know are passed over, numbers may be in quotes, and what lacks is nothing.
 * @throws ReportFault
 */
export function parseTlsJson(text: string): Content<TlsReport> {
  const report = objectOf(parsed(text))
  if (report === undefined) throw new ReportFault('the JSON is no object')
  const range = objectOf(report['date-range']) ?? {}
  const contact = textOf(report['contact-info'])
  const org = textOf(report['organization-name']) ?? contact
  const beginAt = instantOf(range['start-datetime'])
  const endAt = instantOf(range['end-datetime']) ?? beginAt
  if (!Array.isArray(report['policies'])) throw new ReportFault('the JSON is no TLS report: it has no policies')
  if (org === undefined) throw new ReportFault('the TLS report does not say who reports')
  if (beginAt === undefined || endAt === undefined)
    throw new ReportFault('the TLS report does not say of which time it is')
  const policies = report['policies'].slice(0, mostPolicies).flatMap(policyResult)
  if (policies.length === 0) throw new ReportFault('the TLS report does not say which domain it is about')
  return {
    kind: 'tls',
    org,
    ...(contact === undefined ? {} : { contact }),
    reportId: textOf(report['report-id']) ?? '',
    beginAt,
    endAt: Math.max(beginAt, endAt),
    policies,
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch {
    throw new ReportFault('not well-formed JSON')
  }
}

type Fields = Readonly<Record<string, unknown>>

function objectOf(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined
}

function policyResult(value: unknown): readonly TlsPolicyResult[] {
  const result = objectOf(value) ?? {}
  const policy = objectOf(result['policy']) ?? {}
  const summary = objectOf(result['summary']) ?? {}
  const domain = domainOf(policy['policy-domain'])
  if (domain === undefined) return []
  const details = Array.isArray(result['failure-details']) ? result['failure-details'] : []
  const failures = details.slice(0, mostFailures).flatMap(failureOf)
  const listed = failures.reduce((sum, { count }) => sum + count, 0)
  return [
    {
      type: wordOf(policy['policy-type']) ?? 'unknown',
      domain,
      successful: countOf(summary['total-successful-session-count']) ?? 0,
      failed: countOf(summary['total-failure-session-count']) ?? listed,
      failures,
    },
  ]
}

function failureOf(value: unknown): readonly TlsFailure[] {
  const failure = objectOf(value)
  if (failure === undefined) return []
  const optional = {
    mx: domainOf(failure['receiving-mx-hostname']) ?? domainOf(failure['receiving-mx-helo']),
    sendingIp: addressOf(failure['sending-mta-ip']),
    receivingIp: addressOf(failure['receiving-ip']),
    detail: textOf(failure['failure-reason-code']) ?? textOf(failure['additional-information']),
  }
  const present = Object.fromEntries(Object.entries(optional).filter(([, found]) => found !== undefined))
  const type = wordOf(failure['result-type']) ?? 'unknown'
  return [{ type, count: countOf(failure['failed-session-count']) ?? 1, ...present }]
}
