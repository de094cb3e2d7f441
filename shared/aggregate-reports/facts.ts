import { join } from 'node:path'

import type { DmarcPolicy } from '../dmarc/record.ts'

/** What is reported to domains once a day. */
export type ReportKind = 'dmarc' | 'tls'

export const reportKinds: readonly ReportKind[] = ['dmarc', 'tls']

/** A UTC day, `2026-11-21`. */
export type Day = string & { readonly __brand: 'Day' }

const dayMs = 86_400_000

export function dayOf(at: number): Day {
  return new Date(at).toISOString().slice(0, 10) as Day
}

/** Undefined for what is no day. */
export function parseDay(text: string): Day | undefined {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return undefined
  const at = Date.parse(`${text}T00:00:00Z`)
  return Number.isNaN(at) || dayOf(at) !== text ? undefined : dayOf(at)
}

/** Epoch ms of its begin and of the begin of the next one. */
export function boundsOf(day: Day): { readonly beginAt: number; readonly endAt: number } {
  const beginAt = Date.parse(`${day}T00:00:00Z`)
  return { beginAt, endAt: beginAt + dayMs }
}

/** What was seen on a day: one folder for each, with a file for each process. */
export function factsFolder(dataFolder: string, kind: ReportKind): string {
  return join(dataFolder, 'reports', kind)
}

/** A thing that happened once, and whom it is told. */
export type Fact = DmarcFact | TlsFact

/** DMARC of one message. Of its people it knows nothing. */
export interface DmarcFact {
  /** Where the record was found: it is told to that domain. */
  readonly domain: string
  readonly published: PublishedPolicy
  readonly sourceIp: string
  /** What was done because of DMARC. */
  readonly disposition: DmarcPolicy
  /** Whether an identifier of the method passed and is aligned. */
  readonly dkim: 'pass' | 'fail'
  readonly spf: 'pass' | 'fail'
  readonly reasons?: readonly OverrideReason[]
  readonly headerFrom: string
  /** Empty for the null reverse-path. */
  readonly envelopeFrom: string
  readonly signatures: readonly { readonly domain: string; readonly selector?: string; readonly result: string }[]
  readonly spfCheck: { readonly domain: string; readonly scope: 'mfrom' | 'helo'; readonly result: string }
}

export interface PublishedPolicy {
  readonly p: DmarcPolicy
  readonly sp: DmarcPolicy
  readonly adkim: 'r' | 's'
  readonly aspf: 'r' | 's'
  readonly pct: number
}

/** Why the disposition is not what the domain asked for (RFC 7489 appendix C, PolicyOverrideReason). */
export interface OverrideReason {
  readonly type: 'sampled_out' | 'local_policy' | 'other'
  readonly comment?: string
}

/** One session with a mail host of a domain. */
export interface TlsFact {
  /** Of the recipients. */
  readonly domain: string
  readonly policy: TlsPolicyFound
  /** Absent: the session was what the policy asks for. */
  readonly failure?: TlsFailure
}

/** What the domain asks of sessions (RFC 8460 §4.4). */
export interface TlsPolicyFound {
  readonly type: 'tlsa' | 'sts' | 'no-policy-found'
  /** TLSA records, or the lines of an MTA-STS policy. */
  readonly strings: readonly string[]
  /** Patterns of `mx` in the policy. */
  readonly mxHosts: readonly string[]
}

/** RFC 8460 §4.3 */
export type TlsResultType =
  | 'starttls-not-supported'
  | 'certificate-host-mismatch'
  | 'certificate-expired'
  | 'certificate-not-trusted'
  | 'validation-failure'
  | 'tlsa-invalid'
  | 'dnssec-invalid'
  | 'sts-policy-fetch-error'
  | 'sts-policy-invalid'
  | 'sts-webpki-invalid'

export interface TlsFailure {
  readonly result: TlsResultType
  readonly sendingIp?: string
  readonly host?: string
  readonly receivingIp?: string
  /** For a reader there: one line. */
  readonly reason?: string
}

/** Equal facts, counted. */
export interface Counted<One extends Fact> {
  readonly fact: One
  readonly count: number
}
