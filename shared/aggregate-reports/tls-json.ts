import type { ReportFrame } from './dmarc-xml.ts'
import type { Counted, TlsFact, TlsFailure, TlsPolicyFound } from './facts.ts'

/** A report on TLS with the hosts of one domain (RFC 8460 §4.4). */
export function tlsJson(frame: ReportFrame, domain: string, rows: readonly Counted<TlsFact>[]): string {
  const policies = new Map<string, PolicyRows>()
  for (const { fact, count } of rows) {
    const key = JSON.stringify(fact.policy)
    const found = policies.get(key) ?? { policy: fact.policy, good: 0, failures: [] }
    policies.set(key, found)
    if (fact.failure === undefined) found.good += count
    else found.failures.push({ failure: fact.failure, count })
  }
  return JSON.stringify({
    'organization-name': frame.organisation,
    'date-range': { 'start-datetime': second(frame.beginAt), 'end-datetime': second(frame.endAt - 1000) },
    'contact-info': frame.contact,
    'report-id': frame.reportId,
    policies: [...policies.values()].map((one) => policyOf(domain, one)),
  })
}

interface PolicyRows {
  readonly policy: TlsPolicyFound
  good: number
  readonly failures: { readonly failure: TlsFailure; readonly count: number }[]
}

function policyOf(domain: string, { policy, good, failures }: PolicyRows): object {
  const failed = failures.reduce((sum, { count }) => sum + count, 0)
  return {
    policy: {
      'policy-type': policy.type,
      ...(policy.strings.length === 0 ? {} : { 'policy-string': policy.strings }),
      'policy-domain': domain,
      ...(policy.mxHosts.length === 0 ? {} : { 'mx-host': policy.mxHosts }),
    },
    summary: { 'total-successful-session-count': good, 'total-failure-session-count': failed },
    ...(failures.length === 0 ? {} : { 'failure-details': failures.map(failureOf) }),
  }
}

function failureOf({ failure, count }: { readonly failure: TlsFailure; readonly count: number }): object {
  const { result, sendingIp, host, receivingIp, reason } = failure
  return {
    'result-type': result,
    ...(sendingIp === undefined ? {} : { 'sending-mta-ip': sendingIp }),
    ...(host === undefined ? {} : { 'receiving-mx-hostname': host }),
    ...(receivingIp === undefined ? {} : { 'receiving-ip': receivingIp }),
    'failed-session-count': count,
    ...(reason === undefined ? {} : { 'failure-reason-code': reason }),
  }
}

/** RFC 3339, without fractions. */
function second(at: number): string {
  return `${new Date(at).toISOString().slice(0, 19)}Z`
}
