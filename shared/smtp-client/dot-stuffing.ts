/** Content that must not go on the wire: a CR or LF that is no line end smuggles commands through servers that are lax. */
export class BareLineEndError extends Error {
  override readonly name = 'BareLineEndError'
}

const dot = Buffer.from('.')
const endOfContent = Buffer.from('.\r\n')
const endOfContentAfterText = Buffer.from('\r\n.\r\n')

const CR = 0x0d
const LF = 0x0a
const DOT = 0x2e

/**
 * Makes content fit for DATA (RFC 5321 §4.5.2): doubles each dot at the start of a line and makes sure that every CR and
 * every LF is part of a CRLF. Octets are never copied: a chunk comes back whole or as slices with dots between them.
 */
export class DotStuffer {
  #atLineStart = true
  #afterCr = false

  /** @throws BareLineEndError */
  push(chunk: Buffer): Buffer[] {
    const pieces: Buffer[] = []
    let start = 0
    let atLineStart = this.#atLineStart
    let afterCr = this.#afterCr
    for (let index = 0; index < chunk.length; index++) {
      const octet = chunk[index]
      if (afterCr !== (octet === LF))
        throw new BareLineEndError(afterCr ? 'content with a bare CR' : 'content with a bare LF')
      if (atLineStart && octet === DOT) {
        if (index > start) pieces.push(chunk.subarray(start, index))
        pieces.push(dot)
        start = index
      }
      atLineStart = afterCr
      afterCr = octet === CR
    }
    this.#atLineStart = atLineStart
    this.#afterCr = afterCr
    if (start < chunk.length) pieces.push(start === 0 ? chunk : chunk.subarray(start))
    return pieces
  }

  /** The octets that end the content; a last line without CRLF gets one. @throws BareLineEndError */
  end(): Buffer {
    if (this.#afterCr) throw new BareLineEndError('content with a bare CR')
    return this.#atLineStart ? endOfContent : endOfContentAfterText
  }
}
