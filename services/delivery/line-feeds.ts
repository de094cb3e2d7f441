import type { Content } from '../../shared/smtp-client/transaction.ts'

/** Mail at rest has the line ends of the host, as every Maildir program expects: CRLF becomes LF, other octets stay. */
export function withLineFeeds(text: Buffer): Buffer {
  const out = Buffer.allocUnsafe(text.length)
  let length = 0
  let start = 0
  for (let end = text.indexOf('\r\n'); end >= 0; end = text.indexOf('\r\n', start)) {
    length += text.copy(out, length, start, end)
    start = end + 1
  }
  length += text.copy(out, length, start)
  return out.subarray(0, length)
}

/** The same for content that comes in pieces, with CR LF between two of them or not. */
export async function* atRest(content: Content): AsyncIterable<Buffer> {
  let held = false
  for await (const chunk of content) {
    const whole: Buffer = held ? Buffer.concat([Buffer.from('\r'), chunk]) : chunk
    held = whole.at(-1) === 0x0d
    yield withLineFeeds(held ? whole.subarray(0, -1) : whole)
  }
  if (held) yield Buffer.from('\r')
}
