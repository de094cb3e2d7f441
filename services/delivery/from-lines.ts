import type { ReversePath } from '../../shared/mail/address.ts'

/** The line that begins a message in an mbox file, the time in UTC: `From jane@example.org Sat Nov 21 06:47:41 2026`. */
export function fromLine(reversePath: ReversePath, receivedAt: number): string {
  const [weekday = '', day = '', month = '', year = '', time = ''] = new Date(receivedAt).toUTCString().split(/,? /)
  const sender = (reversePath ?? 'MAILER-DAEMON').replaceAll(/\s/g, '_')
  return `From ${sender} ${weekday} ${month} ${day} ${time} ${year}\n`
}

const mark = Buffer.from('From ')
const quote = 0x3e
const lineFeed = 0x0a

/**
 * The content of an mbox message: lines of `From `, quoted before or not, get one `>` more, so that every reader can take it
 * off again (mboxrd); the last line is ended, and an empty one follows. Lines end in LF.
 */
export async function* quotedFromLines(chunks: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  let held: Buffer = Buffer.alloc(0)
  let atLineStart = true
  let last = lineFeed
  for await (const chunk of chunks) {
    const text = held.length === 0 ? chunk : Buffer.concat([held, chunk])
    const undecided = beginningOfMark(text, atLineStart)
    const whole = text.subarray(0, text.length - undecided)
    held = text.subarray(whole.length)
    if (whole.length === 0) continue
    yield* quoteLines(whole, atLineStart)
    last = whole.at(-1) ?? lineFeed
    atLineStart = last === lineFeed
  }
  if (held.length > 0) yield held
  yield Buffer.from(held.length === 0 && last === lineFeed ? '\n' : '\n\n')
}

function* quoteLines(text: Buffer, atLineStart: boolean): Iterable<Buffer> {
  let written = 0
  for (let start = atLineStart ? 0 : lineAfter(text, 0); start < text.length; start = lineAfter(text, start)) {
    let at = start
    while (text[at] === quote) at += 1
    if (text.compare(mark, 0, mark.length, at, Math.min(at + mark.length, text.length)) !== 0) continue
    yield text.subarray(written, start)
    yield Buffer.of(quote)
    written = start
  }
  yield text.subarray(written)
}

function lineAfter(text: Buffer, start: number): number {
  const end = text.indexOf(lineFeed, start)
  return end < 0 ? text.length : end + 1
}

/** Octets at the end that may become a line of `From ` with what follows. */
function beginningOfMark(text: Buffer, atLineStart: boolean): number {
  const feed = text.lastIndexOf(lineFeed)
  if (feed < 0 && !atLineStart) return 0
  const tail = text.subarray(feed + 1)
  let at = 0
  while (tail[at] === quote) at += 1
  const rest = tail.subarray(at)
  return rest.length < mark.length && rest.equals(mark.subarray(0, rest.length)) ? tail.length : 0
}
