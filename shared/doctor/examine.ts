import type { DnsRecord } from '../dkim/dns-record.ts'
import type { ValidatingResolver } from '../dns/validating-resolver.ts'
import type { Resolver } from '../resolver.ts'
import { checkAddresses, checkLists, checkMx, checkReverse } from './check-hosts.ts'
import { checkIncoming, checkOutgoing, checkTlsa } from './check-port.ts'
import { checkDkim, checkDmarc, checkMtaSts, checkSpf, checkTlsReports } from './check-policies.ts'
import { findingsOf } from './finding.ts'
import type { CheckName, Finding, Findings } from './finding.ts'

/** What a domain is examined for. */
export interface Patient {
  /** In lower case and A-labels. */
  readonly domain: string
  /** What this server calls itself. */
  readonly hostname: string
  /** Records of the keys that mail of the domain is signed with. */
  readonly dkim: readonly DnsRecord[]
  /** Why there are keys of which no record can be told, one sentence each. */
  readonly dkimTroubles?: readonly string[]
}

/** What it is examined with. */
export interface Instruments {
  readonly resolver: Resolver
  /** Absent: nobody here can tell whether a record is signed. */
  readonly validating?: Pick<ValidatingResolver, 'tlsa'>
  /** DNS lists of clients that may have this server on them. */
  readonly lists: readonly string[]
  /** Of remote MTAs; 25 but in tests. */
  readonly smtpPort: number
  /** Of policy hosts; 443 but in tests. */
  readonly policyPort: number
  /** PEM: authorities that certificates are checked with; absent: those that come with Node. */
  readonly ca?: string
  /** A host that is connected to, to see whether the way out is open; absent: it is not tried. */
  readonly outgoing?: string
  /** For one connection. */
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

export type Check = (patient: Patient, instruments: Instruments, findings: Findings) => Promise<void>

const checks: readonly (readonly [CheckName, Check])[] = [
  ['mx', checkMx],
  ['address', checkAddresses],
  ['reverse', checkReverse],
  ['spf', checkSpf],
  ['dkim', checkDkim],
  ['dmarc', checkDmarc],
  ['mta-sts', checkMtaSts],
  ['tls-rpt', checkTlsReports],
  ['tlsa', checkTlsa],
  ['incoming', checkIncoming],
  ['outgoing', checkOutgoing],
  ['lists', checkLists],
]

/**
 * Looks at a domain as the rest of the world does: whether mail for it comes here, and whether mail of it is believed. All is asked at
 * once; the findings are in the order of the checks.
 */
export async function examineDomain(patient: Patient, instruments: Instruments): Promise<readonly Finding[]> {
  const found = await Promise.all(
    checks.map(async ([name, check]) => {
      const findings: Finding[] = []
      await check(patient, instruments, findingsOf(name, findings))
      return findings
    }),
  )
  return found.flat()
}
