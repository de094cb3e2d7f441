/**
 * Finds the end of the header section while content passes in chunks: behind the first empty line (RFC 5322 §2.1). Content
 * that begins with an empty line has a header section of just that line; without an empty line all of it is header.
 */
export class HeaderEnd {
  #seenBytes = 0
  #foundAt = -1
  /** The last octets before the next chunk, at most 3; content starts as if behind a line end. */
  #tail = '\r\n'

  /** How many octets of this chunk still belong to the header section. */
  take(chunk: Buffer): number {
    if (this.#foundAt >= 0) return 0
    const inside = this.#find(chunk)
    this.#seenBytes += inside
    if (inside < chunk.length || this.#tail === 'found') this.#foundAt = this.#seenBytes
    return inside
  }

  /** Octets of the header section so far, its closing empty line included. */
  get headerBytes(): number {
    return this.#seenBytes
  }

  #find(chunk: Buffer): number {
    const seam = this.#tail + chunk.toString('latin1', 0, 3)
    const across = seam.indexOf(emptyLine)
    if (across >= 0) return this.#end(across + emptyLine.length - this.#tail.length)
    const within = chunk.indexOf(emptyLine)
    if (within >= 0) return this.#end(within + emptyLine.length)
    this.#tail = (this.#tail + chunk.toString('latin1', Math.max(0, chunk.length - 3))).slice(-3)
    return chunk.length
  }

  #end(octets: number): number {
    this.#tail = 'found'
    return octets
  }
}

const emptyLine = '\r\n\r\n'
