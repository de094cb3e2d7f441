/** Encodes a body that streams by. */
export interface BodyEncoder {
  push(octets: Buffer): Buffer
  /** What was kept back. */
  end(): Buffer
}

const CR = 0x0d
const LF = 0x0a
const EQUALS = 0x3d
/** One less than RFC 2045 §6.7 allows, for the `=` of a soft line break. */
const mostColumns = 75
const hex = Buffer.from('0123456789ABCDEF')
/** An octet becomes three at most, and each line gets three more. */
const mostGrowth = 4

/** Quoted-printable (RFC 2045 §6.7); CRLF is a line end, any other CR or LF an octet like others. */
export class QuotedPrintableEncoder implements BodyEncoder {
  #column = 0
  /** A blank that may end the line, or a CR whose LF may come. */
  #blank: number | undefined
  #hasCr = false
  #out: Buffer = Buffer.alloc(0)
  #length = 0

  push(octets: Buffer): Buffer {
    this.#begin(octets.length)
    for (let index = 0; index < octets.length; index += 1) {
      const octet = octets[index] ?? 0
      if (this.#hasCr) {
        this.#hasCr = false
        if (octet === LF) {
          this.#lineEnd()
          continue
        }
        this.#blankInside()
        this.#escaped(CR)
      }
      if (octet === CR) this.#hasCr = true
      else this.#octet(octet)
    }
    return this.#taken()
  }

  end(): Buffer {
    this.#begin(0)
    if (this.#hasCr) {
      this.#blankInside()
      this.#escaped(CR)
    } else if (this.#blank !== undefined) this.#escaped(this.#blank)
    this.#blank = undefined
    this.#hasCr = false
    return this.#taken()
  }

  #octet(octet: number): void {
    this.#blankInside()
    if (octet === 0x20 || octet === 0x09) this.#blank = octet
    else if (octet > 0x20 && octet < 0x7f && octet !== EQUALS) this.#plain(octet)
    else this.#escaped(octet)
  }

  #lineEnd(): void {
    if (this.#blank !== undefined) this.#escaped(this.#blank)
    this.#blank = undefined
    this.#put(CR)
    this.#put(LF)
    this.#column = 0
  }

  #blankInside(): void {
    if (this.#blank === undefined) return
    this.#plain(this.#blank)
    this.#blank = undefined
  }

  #plain(octet: number): void {
    this.#room(1)
    this.#put(octet)
  }

  #escaped(octet: number): void {
    this.#room(3)
    this.#put(EQUALS)
    this.#put(hex[octet >> 4] ?? 0)
    this.#put(hex[octet & 15] ?? 0)
  }

  #room(columns: number): void {
    if (this.#column + columns > mostColumns) {
      this.#put(EQUALS)
      this.#put(CR)
      this.#put(LF)
      this.#column = 0
    }
    this.#column += columns
  }

  #begin(octets: number): void {
    this.#out = Buffer.allocUnsafe((octets + 2) * mostGrowth)
    this.#length = 0
  }

  #put(octet: number): void {
    this.#out[this.#length] = octet
    this.#length += 1
  }

  #taken(): Buffer {
    return this.#out.subarray(0, this.#length)
  }
}

/** Lines of 76 characters (§6.8). */
const octetsPerLine = 57

/** Base64; lines end with CRLF, but for the last one. */
export class Base64Encoder implements BodyEncoder {
  #rest: Buffer = Buffer.alloc(0)
  #isFirst = true

  push(octets: Buffer): Buffer {
    const all = this.#rest.length === 0 ? octets : Buffer.concat([this.#rest, octets])
    const whole = all.length - (all.length % octetsPerLine)
    this.#rest = Buffer.from(all.subarray(whole))
    return this.#lines(all.subarray(0, whole))
  }

  end(): Buffer {
    const rest = this.#rest
    this.#rest = Buffer.alloc(0)
    return this.#lines(rest)
  }

  #lines(octets: Buffer): Buffer {
    const lines: string[] = []
    for (let start = 0; start < octets.length; start += octetsPerLine)
      lines.push(octets.toString('base64', start, Math.min(start + octetsPerLine, octets.length)))
    if (lines.length === 0) return Buffer.alloc(0)
    const text = lines.join('\r\n')
    const told = this.#isFirst ? text : `\r\n${text}`
    this.#isFirst = false
    return Buffer.from(told, 'latin1')
  }
}
