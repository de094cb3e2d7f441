import { hopsField } from './header-checks.ts'

const hopsName = hopsField.toLowerCase()
const maxIdLength = 256
const sectionEnd = Buffer.from('\r\n\r\n')

/** What acceptance must know of the header section. */
export interface HeaderFacts {
  /** Received fields and `carriedHops`: hops so far (RFC 5321 §6.3). */
  readonly hops: number
  /** Received fields that rules of ours took out when it was here before; a forged number harms only its own message. */
  readonly carriedHops: number
  /** Names of the fields, in lower case. */
  readonly names: ReadonlySet<string>
  /** The first From field as it stands, folding included. */
  readonly from?: string
  /** Of the first Message-ID field, at most 256 characters. */
  readonly messageId?: string
}

/**
 * Follows the header section while the content passes by: up to the first empty line (RFC 5322 §2.1). Keeps references to
 * the chunks, no more than `limitBytes`.
 */
export class HeaderWatch {
  /** The section is longer than the limit; it is looked at no further. */
  tooLong = false
  readonly #limitBytes: number
  #parts: Buffer[] = []
  #sizeBytes = 0
  #ended = false
  /** The last octets, up to three, of what came so far. */
  #tail: Buffer = Buffer.from('\r\n')

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
  }

  feed(chunk: Buffer): void {
    if (this.#ended || chunk.length === 0) return
    const seam = Buffer.concat([this.#tail, chunk.subarray(0, 3)])
    const atSeam = seam.indexOf(sectionEnd)
    const end = atSeam >= 0 ? atSeam + 4 - this.#tail.length : endOf(chunk)
    this.#take(end < 0 ? chunk : chunk.subarray(0, end))
    if (end >= 0) this.#ended = true
    else this.#tail = Buffer.concat([this.#tail, chunk.subarray(-3)]).subarray(-3)
  }

  /** As far as it has come; with the empty line that ends it. */
  section(): Buffer {
    return Buffer.concat(this.#parts)
  }

  /** The facts once the section or the content has ended. */
  facts(): HeaderFacts {
    const section = (this.#parts.length === 1 ? this.#parts[0] : Buffer.concat(this.#parts))?.toString('latin1') ?? ''
    const names = new Set<string>()
    let hops = 0
    let carriedHops = 0
    let from: string | undefined
    let messageId: string | undefined
    for (let start = 0; start < section.length;) {
      const end = section.indexOf('\r\n', start)
      const first = section.charCodeAt(start)
      if (first !== 0x20 && first !== 0x09) {
        const colon = section.indexOf(':', start)
        if (colon > start && (end < 0 || colon < end) && colon - start < 80) {
          const name = section.slice(start, colon).trimEnd().toLowerCase()
          names.add(name)
          if (name === 'received') hops += 1
          else if (name === hopsName) carriedHops = Math.max(carriedHops, countIn(fieldAt(section, colon + 1)))
          else if (name === 'from') from ??= fieldAt(section, colon + 1)
          else if (name === 'message-id')
            messageId ??= fieldAt(section, colon + 1)
              .trim()
              .slice(0, maxIdLength)
        }
      }
      if (end < 0) break
      start = end + 2
    }
    return {
      hops: hops + carriedHops,
      carriedHops,
      names,
      ...(from === undefined ? {} : { from }),
      ...(messageId === undefined ? {} : { messageId }),
    }
  }

  #take(part: Buffer): void {
    this.#sizeBytes += part.length
    if (this.#sizeBytes > this.#limitBytes) {
      this.tooLong = true
      this.#ended = true
      this.#parts = []
    } else this.#parts.push(part)
  }
}

/** The field body that starts at an offset, up to the next line that is no folding. */
function fieldAt(section: string, start: number): string {
  const end = section.slice(start).search(/\r\n(?![ \t])/)
  return end < 0 ? section.slice(start) : section.slice(start, start + end)
}

function countIn(value: string): number {
  return /^\s*\d{1,4}\s*$/.test(value) ? Number(value) : 0
}

function endOf(chunk: Buffer): number {
  const at = chunk.indexOf(sectionEnd)
  return at < 0 ? -1 : at + 4
}
