import type { Readable } from 'node:stream'

import type { Envelope } from '../../shared/mail/envelope.ts'
import type { Demand } from '../../shared/spam/weigh.ts'
import type { DmarcFinding } from './authentication/dmarc-finding.ts'

/** A message as an engine looks at it: as it was received, without our edits. */
export interface ScanMessage {
  readonly envelope: Envelope
  /** Header section with its closing empty line. */
  readonly header: Buffer
  /** Header section and body. */
  content(): Promise<Buffer>
  /** The same in pieces, for who passes it on: long mail is not in memory once more. */
  stream(): Readable
  /** Fields we have put on top: our Received. */
  readonly received: Buffer
  readonly sizeBytes: number
}

/** One finding: its name stands in X-Spam-Status, its text in the story and X-Spam-Report. */
export interface ScanSymbol {
  readonly name: string
  readonly score: number
  readonly text: string
}

export interface EngineResult {
  /**
   * `unable`: it works, but cannot judge this message, and trying again will not help. `crashed`: its thread was ended and replaced,
   * because this message takes more time or memory than one may.
   */
  readonly status: 'ok' | 'unable' | 'failed' | 'timeout' | 'crashed'
  /** Why it is not `ok`, one line. */
  readonly reason?: string
  /** What it counts, before its weight; 0 unless `ok`. */
  readonly score: number
  readonly symbols: readonly ScanSymbol[]
  readonly tookMs: number
  /** A domain's DMARC policy, a virus. */
  readonly demand?: Demand
  /** Results for Authentication-Results, by method (RFC 8601 §2.2), without semicolons. */
  readonly authentication?: AuthenticationFindings
  /** What the author's domain wants to be told of the check. */
  readonly dmarc?: DmarcFinding
  readonly virus?: { readonly kind: 'clean' } | { readonly kind: 'infected'; readonly name: string }
}

/** `spf=pass smtp.mailfrom=jane@example.org` and its like; DKIM may have several. */
export type AuthenticationFindings = Readonly<Record<'spf' | 'dkim' | 'dmarc' | 'arc', readonly string[]>>

/** What judges a message. It may throw or take for ever: it runs with a time limit, beside the others. */
export interface Engine {
  readonly name: string
  /** False: it has nothing to say about this message and is not asked. */
  applies(envelope: Envelope): boolean
  scan(message: ScanMessage, signal: AbortSignal): Promise<EngineResult>
  /** What an operator should mend though it still judges, one sentence. */
  trouble?(): string | undefined
  close(): Promise<void>
}
