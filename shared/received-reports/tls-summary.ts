import type { TlsFailure, TlsPolicyResult, TlsReport } from './model.ts'
import type { DayCount } from './dmarc-summary.ts'
import { add, byCount, dayOfReport, daysOf, isDoubtful } from './period.ts'
import type { Period } from './period.ts'

/** How others reached the mail hosts of one domain by TLS. */
export interface TlsDomain {
  readonly domain: string
  readonly reports: number
  /** Reports whose own mail failed DMARC: they are in no other number. */
  readonly doubtful: number
  /** Sessions. */
  readonly successful: number
  readonly failed: number
  /** What reporters found: `sts`, `tlsa`, `no-policy-found`. */
  readonly policies: readonly string[]
  readonly reporters: readonly { readonly org: string; readonly sessions: number }[]
  readonly days: readonly DayCount[]
  /** The most frequent first. */
  readonly failures: readonly TlsFailureSum[]
}

export interface TlsFailureSum {
  readonly type: string
  /** The mail host; absent: not stated. */
  readonly mx?: string
  readonly sessions: number
  readonly reporters: readonly string[]
  /** As one of the reporters puts it. */
  readonly detail?: string
  /** What it means, and what to do. */
  readonly advice: string
}

const mostDomains = 200
const mostFailures = 100
const mostNames = 20

interface Result {
  readonly report: TlsReport
  readonly policy: TlsPolicyResult
}

/** By domain, those with the most failed sessions first. */
export function summarizeTls(reports: readonly TlsReport[], period: Period): readonly TlsDomain[] {
  const byDomain = new Map<string, Result[]>()
  for (const report of reports) {
    for (const policy of report.policies) {
      const known = byDomain.get(policy.domain)
      if (known === undefined) byDomain.set(policy.domain, [{ report, policy }])
      else known.push({ report, policy })
    }
  }
  return [...byDomain]
    .map(([domain, results]) => summaryOf(domain, results, period))
    .toSorted((one, other) => other.failed - one.failed || other.successful - one.successful)
    .slice(0, mostDomains)
}

function summaryOf(domain: string, all: readonly Result[], period: Period): TlsDomain {
  const results = all.filter(({ report }) => !isDoubtful(report))
  const orgs = new Map<string, number>()
  const types = new Map<string, number>()
  for (const { report, policy } of results) {
    add(orgs, report.org, policy.successful + policy.failed)
    add(types, policy.type, 1)
  }
  const count = new Set(results.map(({ report }) => report)).size
  return {
    domain,
    reports: count,
    doubtful: new Set(all.map(({ report }) => report)).size - count,
    successful: results.reduce((sum, { policy }) => sum + policy.successful, 0),
    failed: results.reduce((sum, { policy }) => sum + policy.failed, 0),
    policies: byCount(types).map(([type]) => type),
    reporters: byCount(orgs)
      .slice(0, mostNames)
      .map(([org, sessions]) => ({ org, sessions })),
    days: dayCounts(results, period),
    failures: failuresOf(results),
  }
}

function failuresOf(results: readonly Result[]): readonly TlsFailureSum[] {
  const byKind = new Map<string, { readonly failure: TlsFailure; sessions: number; readonly orgs: Set<string> }>()
  for (const { report, policy } of results) {
    for (const failure of policy.failures) {
      const key = `${failure.type} ${failure.mx ?? ''}`
      const known = byKind.get(key) ?? { failure, sessions: 0, orgs: new Set<string>() }
      byKind.set(key, known)
      known.sessions += failure.count
      known.orgs.add(report.org)
    }
  }
  return [...byKind.values()]
    .toSorted((one, other) => other.sessions - one.sessions)
    .slice(0, mostFailures)
    .map(({ failure: { type, mx, detail }, sessions, orgs }) => ({
      type,
      ...(mx === undefined ? {} : { mx }),
      sessions,
      reporters: [...orgs].slice(0, mostNames),
      ...(detail === undefined ? {} : { detail }),
      advice: advice.get(type) ?? 'The reporter has a word of his own for it; see what he adds.',
    }))
}

/** By result type (RFC 8460 §4.3). */
const advice: ReadonlyMap<string, string> = new Map([
  [
    'starttls-not-supported',
    'The host did not offer STARTTLS: give its listener a certificate, and see that nothing before it (a firewall) takes the offer out.',
  ],
  [
    'certificate-host-mismatch',
    'The certificate is not for the name of the mail host: order one with the name that MX states.',
  ],
  ['certificate-expired', 'The certificate was out of date: renew it, and see why that did not happen by itself.'],
  [
    'certificate-not-trusted',
    'The certificate is signed by nobody the sender trusts: send the whole chain, of a public authority.',
  ],
  ['validation-failure', 'The TLS handshake failed for another reason: what the reporter adds may say which.'],
  ['tlsa-invalid', 'A TLSA record is damaged, or does not fit the certificate: publish it anew for the key in use.'],
  ['dnssec-invalid', 'The signatures in DNS do not verify: mend DNSSEC of the zone before anything else.'],
  ['dane-required', 'The sender demands DANE, and no usable TLSA record was found.'],
  [
    'sts-policy-fetch-error',
    'The policy at https://mta-sts.<domain>/.well-known/mta-sts.txt could not be fetched: see that it is there.',
  ],
  ['sts-policy-invalid', 'The MTA-STS policy cannot be understood: version, mode, mx and max_age each on a line.'],
  [
    'sts-webpki-invalid',
    'The web server of the MTA-STS policy has a certificate that is out of date, of another name, or not trusted.',
  ],
])

function dayCounts(results: readonly Result[], period: Period): readonly DayCount[] {
  const well = new Map<string, number>()
  const badly = new Map<string, number>()
  for (const { report, policy } of results) {
    const day = dayOfReport(report, period)
    add(well, day, policy.successful)
    add(badly, day, policy.failed)
  }
  return daysOf(period).map((day) => ({ day, passed: well.get(day) ?? 0, failed: badly.get(day) ?? 0 }))
}
