import type { Reply } from '../mail/reply.ts'

/** What a server said it can do in its answer to EHLO or LHLO (RFC 5321 §4.1.1.1); empty after HELO. */
export interface Capabilities {
  readonly pipelining: boolean
  readonly startTls: boolean
  readonly eightBitMime: boolean
  readonly smtpUtf8: boolean
  readonly dsn: boolean
  readonly requireTls: boolean
  /** SIZE is offered. */
  readonly size: boolean
  /** The largest message it takes; absent when it named none (RFC 1870 §4: also for 0). */
  readonly maxSizeBytes?: number
  /** Mechanisms of AUTH, in upper case. */
  readonly auth: ReadonlySet<string>
}

export const noCapabilities: Capabilities = {
  pipelining: false,
  startTls: false,
  eightBitMime: false,
  smtpUtf8: false,
  dsn: false,
  requireTls: false,
  size: false,
  auth: new Set(),
}

/** Reads the answer to EHLO; the first line is the server's name, each further one an extension. */
export function parseCapabilities(reply: Reply): Capabilities {
  const words = new Map<string, string>()
  for (const line of reply.text.split('\n').slice(1)) {
    // "AUTH=PLAIN LOGIN" is an old form some servers still send beside the right one.
    const [, keyword = '', parameters = ''] = /^\s*([^\s=]+)[\s=]?(.*)$/.exec(line) ?? []
    const known = words.get(keyword.toUpperCase())
    words.set(keyword.toUpperCase(), known === undefined ? parameters.trim() : `${known} ${parameters.trim()}`)
  }
  const size = words.get('SIZE')
  const maxSizeBytes = size !== undefined && /^\d{1,15}$/.test(size) ? Number(size) : 0
  return {
    pipelining: words.has('PIPELINING'),
    startTls: words.has('STARTTLS'),
    eightBitMime: words.has('8BITMIME'),
    smtpUtf8: words.has('SMTPUTF8'),
    dsn: words.has('DSN'),
    requireTls: words.has('REQUIRETLS'),
    size: size !== undefined,
    ...(maxSizeBytes > 0 ? { maxSizeBytes } : {}),
    auth: new Set((words.get('AUTH') ?? '').toUpperCase().split(/\s+/).filter(Boolean)),
  }
}
