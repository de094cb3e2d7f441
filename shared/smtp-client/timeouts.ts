/** How long the client waits for each step, in milliseconds; the defaults are those of RFC 5321 §4.5.3.2. */
export interface SmtpTimeouts {
  readonly connectMs: number
  readonly greetingMs: number
  /** EHLO, STARTTLS (each way), AUTH. */
  readonly helloMs: number
  /** MAIL and RCPT. */
  readonly envelopeMs: number
  /** The answer to DATA. */
  readonly dataMs: number
  /** Until the peer takes more of the content. */
  readonly blockMs: number
  /** The answer to the final dot; giving up earlier makes duplicates (§4.5.3.2.6). */
  readonly finalMs: number
  readonly quitMs: number
}

export const rfcTimeouts: SmtpTimeouts = {
  connectMs: 30_000,
  greetingMs: 300_000,
  helloMs: 300_000,
  envelopeMs: 300_000,
  dataMs: 120_000,
  blockMs: 180_000,
  finalMs: 600_000,
  quitMs: 2_000,
}
