/** What a client sent: a command line without its CRLF, or a message's content, dot-unstuffed, without the final dot. */
export type WireCommand =
  | { readonly kind: 'line'; readonly line: string }
  | { readonly kind: 'content'; readonly content: Buffer }

const endOfData = Buffer.from('\r\n.\r\n')
const stuffedDot = Buffer.from('\r\n..')

/** Cuts a stream of octets into command lines and contents, strictly by CRLF; linear in what it is given. */
export class WireReader {
  #chunks: Buffer[] = []
  #inContent = false
  /** Octets at the front of the joined chunks that hold no end for sure. */
  #searched = 0
  /** Chunks that were looked at for the end of the data. */
  #examined = 0

  push(chunk: Buffer): void {
    this.#chunks.push(chunk)
  }

  /** The next octets are a message: what DATA's 354 announces. */
  expectContent(): void {
    this.#inContent = true
    this.#searched = 0
    this.#examined = 0
  }

  next(): WireCommand | undefined {
    return this.#inContent ? this.#nextContent() : this.#nextLine()
  }

  #nextLine(): WireCommand | undefined {
    const octets = this.#join()
    const end = octets.indexOf('\r\n', this.#searched)
    if (end < 0) {
      this.#searched = Math.max(0, octets.length - 1)
      return undefined
    }
    this.#keep(octets.subarray(end + 2))
    return { kind: 'line', line: octets.subarray(0, end).toString('utf8') }
  }

  #nextContent(): WireCommand | undefined {
    // Joining at every chunk would copy a large message again and again: look at the new chunks and their seams first.
    const unseen = this.#chunks.slice(this.#examined)
    this.#examined = this.#chunks.length
    if (!unseen.some(mayEnd)) return undefined
    const octets = this.#join()
    if (octets.subarray(0, 3).equals(endOfData.subarray(2))) {
      this.#inContent = false
      this.#keep(octets.subarray(3))
      return { kind: 'content', content: Buffer.alloc(0) }
    }
    const end = octets.indexOf(endOfData, this.#searched)
    if (end < 0) {
      this.#searched = Math.max(0, octets.length - endOfData.length + 1)
      return undefined
    }
    this.#inContent = false
    this.#keep(octets.subarray(end + endOfData.length))
    return { kind: 'content', content: unstuff(octets.subarray(0, end + 2)) }
  }

  #join(): Buffer {
    if (this.#chunks.length !== 1) this.#chunks = [Buffer.concat(this.#chunks)]
    this.#examined = 1
    return this.#chunks[0] as Buffer
  }

  #keep(rest: Buffer): void {
    this.#chunks = rest.length === 0 ? [] : [rest]
    this.#searched = 0
    this.#examined = 0
  }
}

/** False when neither this chunk nor its seam with those before can hold the end of the data. */
function mayEnd(chunk: Buffer): boolean {
  return chunk.length < 5 || chunk.includes(endOfData) || /^[\r\n.]/.test(chunk.toString('latin1', 0, 1))
}

/** RFC 5321 §4.5.2: a leading dot is removed. */
function unstuff(content: Buffer): Buffer {
  if (content[0] !== 0x2e && !content.includes(stuffedDot)) return content
  const parts: Buffer[] = []
  let from = content[0] === 0x2e ? 1 : 0
  for (let at = content.indexOf('\r\n.', from); at >= 0; at = content.indexOf('\r\n.', at + 3)) {
    parts.push(content.subarray(from, at + 2))
    from = at + 3
  }
  return Buffer.concat([...parts, content.subarray(from)])
}
