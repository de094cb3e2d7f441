import type { TlsFact, TlsFailure, TlsPolicyFound, TlsResultType } from '../../shared/aggregate-reports/facts.ts'
import { certificateFault } from '../../shared/certificate-fault.ts'
import type { CertificateFault } from '../../shared/certificate-fault.ts'
import type { TlsaRecord } from '../../shared/dns/tlsa.ts'
import type { StsTrouble } from '../../shared/mta-sts/policies.ts'
import type { StsPolicy } from '../../shared/mta-sts/policy.ts'
import type { TlsOutcome } from '../../shared/smtp-client/open-connection.ts'
import { unmet } from './domain-policy.ts'
import type { Demand, HostWithDemand } from './domain-policy.ts'

/** What a session with a host is held against in a report (RFC 8460 §4); absent where none is made. */
export interface SessionPolicy {
  readonly domain: string
  readonly found: TlsPolicyFound
  /** The domain announces a policy that cannot be had: whatever becomes of the session, that is told. */
  readonly trouble?: Pick<TlsFailure, 'result' | 'reason'>
}

export function sessionPolicy(
  domain: string,
  demand: Demand | undefined,
  trouble: StsTrouble | undefined,
): SessionPolicy {
  if (demand?.policy === 'dane') return { domain, found: foundTlsa(demand.records) }
  if (demand?.policy === 'mta-sts') return { domain, found: foundSts(demand.published) }
  if (trouble === undefined) return { domain, found: { type: 'no-policy-found', strings: [], mxHosts: [] } }
  const result = stsResults[trouble.kind]
  return {
    domain,
    found: { type: 'sts', strings: [], mxHosts: [] },
    trouble: { result, reason: oneLine(trouble.reason) },
  }
}

/** Where it went, and what was asked of it. */
export interface ReportedHop {
  readonly endpoint: { readonly host: string }
  readonly demand?: Demand
}

/** A session that came as far as TLS. */
export function sessionFact(hop: ReportedHop, policy: SessionPolicy, outcome: TlsOutcome): TlsFact {
  const { domain, found, trouble } = policy
  const failure = trouble ?? failureOf(hop.demand, outcome)
  if (failure === undefined) return { domain, policy: found }
  const { localAddress, remoteAddress } = outcome
  return {
    domain,
    policy: found,
    failure: {
      ...failure,
      ...(localAddress === undefined ? {} : { sendingIp: localAddress }),
      host: hop.endpoint.host,
      ...(remoteAddress === undefined ? {} : { receivingIp: remoteAddress }),
    },
  }
}

/** A host that may not even be asked. */
export function passedOverFact({ name, demand }: HostWithDemand, { domain, found }: SessionPolicy): TlsFact {
  const failure =
    demand?.policy === 'dane'
      ? ({ result: 'dnssec-invalid', reason: 'the TLSA records could not be looked up' } as const)
      : ({ result: 'validation-failure', reason: 'the policy does not name the host' } as const)
  return { domain, policy: found, failure: { ...failure, host: name } }
}

function failureOf(demand: Demand | undefined, outcome: TlsOutcome): Pick<TlsFailure, 'result' | 'reason'> | undefined {
  switch (outcome.kind) {
    case 'plain':
      return { result: 'starttls-not-supported' }
    case 'failed':
      return { result: resultOf(outcome.error) ?? 'validation-failure', reason: reasonOf(outcome.error) }
    case 'secured': {
      if (demand?.policy === 'dane' && demand.records.length === 0)
        return { result: 'tlsa-invalid', reason: 'none of the TLSA records can be used' }
      const reason = demand === undefined ? undefined : unmet(demand, outcome.session)
      if (reason === undefined) return undefined
      const { distrust } = outcome.session
      if (distrust === undefined) return { result: 'validation-failure', reason }
      return { result: resultOf(distrust) ?? 'certificate-not-trusted', reason: oneLine(distrust) }
    }
  }
}

function resultOf(error: unknown): TlsResultType | undefined {
  const fault = certificateFault(error)
  return fault === undefined ? undefined : faultResults[fault]
}

const faultResults: Readonly<Record<CertificateFault, TlsResultType>> = {
  'host-mismatch': 'certificate-host-mismatch',
  expired: 'certificate-expired',
  'not-trusted': 'certificate-not-trusted',
}

const stsResults: Readonly<Record<StsTrouble['kind'], TlsResultType>> = {
  fetch: 'sts-policy-fetch-error',
  invalid: 'sts-policy-invalid',
  certificate: 'sts-webpki-invalid',
}

/** Node's code says the same for the same cause; its text may not. */
function reasonOf(error: Error): string {
  return oneLine('code' in error && typeof error.code === 'string' ? error.code : error.message)
}

function oneLine(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]+/g, ' ').slice(0, 200)
}

function foundTlsa(records: readonly TlsaRecord[] | 'failed'): TlsPolicyFound {
  const strings = records === 'failed' ? [] : records.map((record) => tlsaText(record))
  return { type: 'tlsa', strings, mxHosts: [] }
}

function tlsaText({ usage, selector, matching, data }: TlsaRecord): string {
  return `${usage} ${selector} ${matching} ${data.toString('hex')}`
}

/** As its domain has written it, apart from what we do not know. */
function foundSts({ mode, mx, maxAgeMs }: StsPolicy): TlsPolicyFound {
  const strings = [
    'version: STSv1',
    `mode: ${mode}`,
    ...mx.map((pattern) => `mx: ${pattern}`),
    `max_age: ${Math.trunc(maxAgeMs / 1000)}`,
  ]
  return { type: 'sts', strings, mxHosts: mx }
}
