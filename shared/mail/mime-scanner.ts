import { MimeBoundaries, mediaType, structureOf } from './mime-boundaries.ts'
import { partFields } from './mime-fields.ts'
import type { PartField } from './mime-fields.ts'

/** What a header section is the head of. A multipart without a boundary is none. */
export interface MimeEntity {
  readonly kind: 'leaf' | 'multipart' | 'message'
  /** In lower case; empty: not stated. */
  readonly type: string
  /** Content-Transfer-Encoding in lower case; empty: not stated. */
  readonly encoding: string
}

/** Told in order; all octets together are the message. */
export interface MimeListener {
  /** A header section with the empty line that closes it, when there is one. */
  section(section: Buffer, entity: MimeEntity): void
  /** Octets of a leaf; the line end in front of a boundary is not among them (RFC 2046 §5.1.1). */
  body(octets: Buffer): void
  /** In front of the first part of a multipart, or behind the last one: no reader shows it. */
  between(octets: Buffer): void
  /** A boundary line with the line end in front of it. */
  boundary(octets: Buffer): void
}

/** A section larger than this is not looked into, nor is what follows. */
const mostSectionBytes = 1_048_576
/** A longer line is no boundary (RFC 2046 §5.1.1 allows 70 characters). */
const mostBoundaryLine = 4_096

const lineEnd = Buffer.from('\r\n')
const marker = Buffer.from('\r\n--')
const dashes = Buffer.from('--')
const dash = 0x2d
/** Those that stand for the octets as they are (RFC 2045 §6.2). */
const identityEncodings: ReadonlySet<string> = new Set(['7bit', '8bit', 'binary'])

/**
 * Takes a message apart by its MIME structure while it streams by: the header sections whole, the bodies as they come. It holds one
 * section, and one line, at most.
 */
export class MimeScanner {
  readonly #listener: MimeListener
  readonly #boundaries = new MimeBoundaries()
  #mode: 'section' | 'leaf' | 'between' = 'section'
  /** Not told yet: the beginning of a line, or the rest of what could become a boundary. */
  #rest: Buffer = Buffer.alloc(0)
  #section: Buffer[] = []
  #sectionBytes = 0
  /** The next octet begins a line, and the end of the line in front of it was told already. */
  #atStart = false
  #isReadable = true

  constructor(listener: MimeListener) {
    this.#listener = listener
  }

  /** False: a section is too large, or parts lie too deep in each other; nothing is told from there on. */
  get isReadable(): boolean {
    return this.#isReadable
  }

  push(chunk: Buffer): void {
    this.#read(this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]), false)
  }

  /** A header without an end is a message without a body. */
  end(): void {
    this.#read(this.#rest, true)
    if (this.#isReadable && this.#mode === 'section') this.#endSection()
  }

  #read(octets: Buffer, isLast: boolean): void {
    let start = 0
    while (start < octets.length && this.#isReadable) {
      const next = this.#mode === 'section' ? this.#line(octets, start, isLast) : this.#text(octets, start, isLast)
      if (next === start) break
      start = next
    }
    this.#rest = octets.subarray(start)
  }

  /** One line of a section. @returns where to read on; `start`: it is not whole yet */
  #line(octets: Buffer, start: number, isLast: boolean): number {
    const end = octets.indexOf(0x0a, start) + 1 || (isLast ? octets.length : 0)
    if (end === 0) {
      this.#isReadable = octets.length - start < mostSectionBytes
      return start
    }
    const line = octets.subarray(start, end)
    if (startsWith(line, dashes) && this.#passes(line)) return end
    this.#section.push(line)
    this.#sectionBytes += line.length
    if (line.equals(lineEnd)) this.#endSection()
    else this.#isReadable = this.#sectionBytes < mostSectionBytes
    return end
  }

  /** A part that ends within its header. */
  #passes(line: Buffer): boolean {
    const found = this.#boundaries.at(line.toString('latin1'))
    if (found === undefined) return false
    if (this.#sectionBytes > 0) this.#endSection()
    this.#boundaries.pass(found)
    this.#listener.boundary(line)
    this.#mode = found.kind === 'part' ? 'section' : 'between'
    this.#atStart = true
    return true
  }

  #endSection(): void {
    const section = Buffer.concat(this.#section)
    this.#section = []
    this.#sectionBytes = 0
    const fields = partFields(section.toString('latin1'))
    const { boundaries, isMessage } = structureOf(fields)
    const entity = entityOf(fields, boundaries, isMessage)
    if (entity.kind === 'multipart')
      for (const boundary of boundaries) this.#isReadable &&= this.#boundaries.enter(boundary)
    if (!this.#isReadable) return
    this.#mode = entity.kind === 'message' ? 'section' : entity.kind === 'multipart' ? 'between' : 'leaf'
    this.#atStart = true
    this.#listener.section(section, entity)
  }

  /** Text up to the next boundary. @returns where to read on; `start`: more is needed to say what follows */
  #text(octets: Buffer, start: number, isLast: boolean): number {
    for (let from = start; ;) {
      const at = this.#candidate(octets, from)
      if (at === undefined) return this.#tell(octets, start, isLast ? octets.length : this.#certain(octets, start))
      const dashesAt = octets[at] === dash ? at : at + lineEnd.length
      const lineFeed = octets.indexOf(0x0a, dashesAt)
      if (lineFeed < 0 && !isLast && octets.length - at < mostBoundaryLine) return this.#tell(octets, start, at)
      const end = lineFeed < 0 ? octets.length : lineFeed + 1
      const isShort = end - at <= mostBoundaryLine
      const found = isShort ? this.#boundaries.at(octets.toString('latin1', dashesAt, end)) : undefined
      if (found !== undefined) {
        this.#tell(octets, start, at)
        this.#boundaries.pass(found)
        return this.#endText(octets, at, end, found.kind)
      }
      this.#atStart = false
      from = dashesAt
    }
  }

  /** Up to where no boundary can begin, whatever comes. */
  #certain(octets: Buffer, start: number): number {
    if (this.#atStart && octets.length - start < dashes.length) return start
    return Math.max(start, octets.length - marker.length + 1)
  }

  /** The line end behind the last boundary of a multipart may belong to the next one. */
  #endText(octets: Buffer, at: number, end: number, kind: 'part' | 'end'): number {
    const told = kind === 'part' || octets[end - 1] !== 0x0a ? end : end - (octets[end - 2] === 0x0d ? 2 : 1)
    this.#listener.boundary(octets.subarray(at, told))
    this.#mode = kind === 'part' ? 'section' : 'between'
    return told
  }

  /** Where a line that begins with `--` may be a boundary, with its line end in front. */
  #candidate(octets: Buffer, from: number): number | undefined {
    if (this.#atStart && startsWith(octets.subarray(from), dashes)) return from
    const at = octets.indexOf(marker, from)
    return at < 0 ? undefined : at
  }

  #tell(octets: Buffer, start: number, end: number): number {
    if (start === end) return end
    this.#atStart = false
    const told = octets.subarray(start, end)
    if (this.#mode === 'leaf') this.#listener.body(told)
    else this.#listener.between(told)
    return end
  }
}

function entityOf(fields: readonly PartField[], boundaries: readonly string[], isMessage: boolean): MimeEntity {
  const valueOf = (wanted: string): string => fields.find(({ name }) => name === wanted)?.value ?? ''
  const type = mediaType(valueOf('content-type'))
  const encoding = mediaType(valueOf('content-transfer-encoding'))
  if (boundaries.length > 0) return { kind: 'multipart', type, encoding }
  const isOpen = isMessage && (encoding === '' || identityEncodings.has(encoding))
  return { kind: isOpen ? 'message' : 'leaf', type, encoding }
}

function startsWith(octets: Buffer, beginning: Buffer): boolean {
  return octets.subarray(0, beginning.length).equals(beginning)
}
