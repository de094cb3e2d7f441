import type { Reply } from '../mail/reply.ts'

/** What a server may send at most before we hang up; RFC 5321 §4.5.3.1.5 asks for 512 octets a line, some send more. */
export const replyLimits = { lineOctets: 4096, lines: 200 } as const

/** The server sent something that is no SMTP reply; the connection is of no use any more. */
export class ReplySyntaxError extends Error {
  override readonly name = 'ReplySyntaxError'
}

/**
 * Reads replies (RFC 5321 §4.2) from the octets a server sends, in pieces of any size. Codes and enhanced codes are taken
 * out of the text; the lines of a multi-line reply are joined by `\n`, its code is that of the last line.
 */
export class ReplyParser {
  #rest = ''
  #lines: string[] = []

  /** Forgets what was read of an unfinished reply: what came in plain text before TLS must not count after it. */
  reset(): void {
    this.#rest = ''
    this.#lines = []
  }

  /**
   * The replies that are complete with this piece; each is given before what follows it is looked at.
   * @throws ReplySyntaxError
   */
  *push(chunk: Buffer): Generator<Reply, void> {
    const text = this.#rest + chunk.toString('latin1')
    let start = 0
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', start)) {
      const reply = this.#takeLine(text.slice(start, text.charCodeAt(end - 1) === 0x0d ? end - 1 : end))
      start = end + 1
      if (reply !== undefined) yield reply
    }
    this.#rest = start === 0 ? text : text.slice(start)
    if (this.#rest.length > replyLimits.lineOctets) throw new ReplySyntaxError('reply line too long')
  }

  #takeLine(line: string): Reply | undefined {
    if (line.length > replyLimits.lineOctets) throw new ReplySyntaxError('reply line too long')
    const separator = line.length === 3 ? ' ' : line[3]
    if (!startsWithCode(line) || (separator !== ' ' && separator !== '-'))
      throw new ReplySyntaxError(`not an SMTP reply: ${JSON.stringify(line.slice(0, 80))}`)
    if (separator === '-') {
      if (this.#lines.push(line) >= replyLimits.lines) throw new ReplySyntaxError('reply of too many lines')
      return undefined
    }
    const lines = this.#lines
    if (lines.length === 0) return toReply(line, [line])
    this.#lines = []
    return toReply(line, [...lines, line])
  }
}

function toReply(last: string, lines: readonly string[]): Reply {
  const code = Number(last.slice(0, 3))
  const texts = lines.map((line) => line.slice(4))
  const enhanced = enhancedCode(last.slice(4), last)
  const text = texts.map((line) => (enhancedCode(line, last) === undefined ? line : withoutFirstWord(line))).join('\n')
  return enhanced === undefined ? { code, text: decode(text) } : { code, enhanced, text: decode(text) }
}

/** The enhanced code a text begins with (RFC 2034), when it is of the class of the reply. */
function enhancedCode(text: string, line: string): string | undefined {
  if (text.charCodeAt(1) !== 0x2e || text[0] !== line[0]) return undefined
  return /^[245]\.\d{1,3}\.\d{1,3}(?= |$)/.exec(text)?.[0]
}

function withoutFirstWord(text: string): string {
  const blank = text.indexOf(' ')
  return blank < 0 ? '' : text.slice(blank + 1).trimStart()
}

function startsWithCode(line: string): boolean {
  const first = line.charCodeAt(0)
  return first >= 0x32 && first <= 0x35 && isDigit(line.charCodeAt(1)) && isDigit(line.charCodeAt(2))
}

function isDigit(character: number): boolean {
  return character >= 0x30 && character <= 0x39
}

/** Replies are ASCII, or UTF-8 by RFC 6531 §3.7.4.3; control characters never reach a log or a DSN. */
function decode(text: string): string {
  if (/^[\n\x20-\x7e]*$/.test(text)) return text
  return Buffer.from(text, 'latin1')
    .toString('utf8')
    .replaceAll(/[^\n\P{Cc}]/gu, ' ')
}
