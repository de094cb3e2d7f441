import type { MessageId } from '../mail/message-id.ts'

/** What somebody reported to us, as it is kept: small, its texts cut to size, and never to be trusted. */
export type ReceivedReport = DmarcReport | TlsReport | AbuseReport

/** What is known of every report. */
interface Reported {
  /** When the mail that brought it was accepted, epoch ms. */
  readonly receivedAt: number
  readonly message: MessageId
  readonly mail: ReportMail
}

/** The mail that brought a report. */
export interface ReportMail {
  /** Domain of its author, in lower case and A-labels; absent when it has none. */
  readonly domain?: string
  /** What our filter says of it; absent: it did not pass the filter, or that does not check. */
  readonly dmarc?: string
}

/** DMARC aggregate report (RFC 7489 appendix C, and its successor). */
export interface DmarcReport extends Reported {
  readonly kind: 'dmarc'
  /** Who reports. */
  readonly org: string
  readonly contact?: string
  readonly reportId: string
  /** Epoch ms. */
  readonly beginAt: number
  readonly endAt: number
  /** The domain reported on, in lower case. */
  readonly domain: string
  readonly policy: PublishedPolicy
  readonly rows: readonly DmarcRow[]
  /** Rows that could not be read, or were too many. */
  readonly leftOut: number
}

/** As the reporter found it in DNS. */
export interface PublishedPolicy {
  readonly p?: string
  readonly sp?: string
  readonly np?: string
  readonly adkim?: string
  readonly aspf?: string
  readonly pct?: string
  readonly testing?: string
}

/** So many messages from one address with the same results. */
export interface DmarcRow {
  readonly ip: string
  readonly count: number
  readonly disposition: 'none' | 'quarantine' | 'reject'
  /** Passed, and aligned with the author's domain. */
  readonly dkim: boolean
  readonly spf: boolean
  readonly headerFrom: string
  readonly envelopeFrom?: string
  /** Why the policy was not applied: `forwarded`, `mailing_list` and so on. */
  readonly reasons: readonly string[]
  readonly signatures: readonly {
    readonly domain: string
    readonly selector?: string
    readonly result: string
  }[]
  readonly spfChecks: readonly { readonly domain: string; readonly result: string }[]
}

/** Report on TLS with our domains (RFC 8460). */
export interface TlsReport extends Reported {
  readonly kind: 'tls'
  readonly org: string
  readonly contact?: string
  readonly reportId: string
  readonly beginAt: number
  readonly endAt: number
  readonly policies: readonly TlsPolicyResult[]
}

export interface TlsPolicyResult {
  /** `sts`, `tlsa`, `no-policy-found` */
  readonly type: string
  readonly domain: string
  /** Sessions. */
  readonly successful: number
  readonly failed: number
  readonly failures: readonly TlsFailure[]
}

export interface TlsFailure {
  readonly type: string
  readonly count: number
  readonly mx?: string
  readonly sendingIp?: string
  readonly receivingIp?: string
  readonly detail?: string
}

/** One message that somebody complains of (RFC 5965), or that failed authentication (RFC 6591). Nothing of the message itself is kept. */
export interface AbuseReport extends Reported {
  readonly kind: 'abuse'
  /** `abuse`, `auth-failure`, `fraud`, `not-spam` and so on. */
  readonly type: string
  /** Program that reports, or its domain. */
  readonly org: string
  readonly domain?: string
  readonly sourceIp?: string
  /** As it is stated. */
  readonly arrivedAt?: number
  readonly incidents: number
  /** `dkim`, `spf`, `dmarc`, `bodyhash` and so on. */
  readonly authFailure?: string
  readonly deliveryResult?: string
}
