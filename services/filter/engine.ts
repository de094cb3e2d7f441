import type { Envelope } from '../../shared/mail/envelope.ts'

/** A message as an engine looks at it: as it was received, without our edits. */
export interface ScanMessage {
  readonly envelope: Envelope
  /** Header section with its closing empty line. */
  readonly header: Buffer
  /** Header section and body. */
  content(): Promise<Buffer>
  readonly sizeBytes: number
}

/** One finding: its name stands in X-Spam-Status, its text in the log. */
export interface ScanSymbol {
  readonly name: string
  readonly score: number
  readonly text: string
}

export interface EngineResult {
  readonly status: 'ok' | 'failed' | 'timeout'
  /** Sum of the symbols' scores; 0 unless `ok`. */
  readonly score: number
  readonly symbols: readonly ScanSymbol[]
  readonly tookMs: number
  /** At least this must happen to the message, whatever the score: a domain's DMARC policy. */
  readonly demands?: 'junk'
  /** Results for Authentication-Results, by method (RFC 8601 §2.2), without semicolons. */
  readonly authentication?: AuthenticationFindings
}

/** `spf=pass smtp.mailfrom=jane@example.org` and its like; DKIM may have several. */
export type AuthenticationFindings = Readonly<Record<'spf' | 'dkim' | 'dmarc' | 'arc', readonly string[]>>

/** What judges a message. It may throw or take for ever: it runs with a time limit, beside the others. */
export interface Engine {
  readonly name: string
  /** False: it has nothing to say about this message and is not asked. */
  applies(envelope: Envelope): boolean
  scan(message: ScanMessage, signal: AbortSignal): Promise<EngineResult>
  close(): Promise<void>
}
