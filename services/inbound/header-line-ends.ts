/**
 * Follows the line ends of a header section as it is sent. A client that ends every line with a bare LF is sloppy; bare ones
 * among CR LF hide a field from whoever reads only CR LF, and would be made one by normalising.
 */
export class HeaderLineEnds {
  #crlf = false
  #bare = false
  #ended = false
  #previous = 0
  #lineOctets = 0

  get mixed(): boolean {
    return this.#crlf && this.#bare
  }

  /** The octets of DATA, not decoded yet. */
  feed(chunk: Buffer): void {
    for (let index = 0; index < chunk.length && !this.#ended; index += 1) this.#take(chunk[index] as number)
  }

  #take(octet: number): void {
    const afterCr = this.#previous === 0x0d
    this.#previous = octet
    if (octet === 0x0a && afterCr) {
      this.#crlf = true
      this.#endLine()
      return
    }
    if (afterCr) this.#endBareLine()
    if (octet === 0x0a) this.#endBareLine()
    else if (octet !== 0x0d) this.#lineOctets += 1
  }

  #endBareLine(): void {
    if (this.#ended) return
    this.#bare = true
    this.#endLine()
  }

  #endLine(): void {
    if (this.#lineOctets === 0) this.#ended = true
    this.#lineOctets = 0
  }
}
