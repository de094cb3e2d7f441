const endSignature = Buffer.from('PK\x05\x06', 'latin1')
const entrySignature = Buffer.from('PK\x01\x02', 'latin1')
const endBytes = 22
const locatorSignature = 0x07064b50
const locatorBytes = 20
const wideSignature = 0x06064b50
const wideBytes = 56
const mostCommentBytes = 65_535
/** A reader of mail that is not base64 takes the line end in front of the boundary for part of the archive. */
const lineEnd = Buffer.from('\r\n')

/** Where the directory of an archive is. */
export interface DirectoryPlace {
  readonly entries: number
  readonly start: number
  readonly end: number
  /** What stands in front of the archive: all offsets in it count from there. */
  readonly base: number
}

/** The last octets of an archive: all in which a reader looks for the end of the directory (APPNOTE.TXT 4.3.16). */
export class ArchiveTail {
  #pieces: Buffer[] = []
  #bytes = 0
  #passed = 0

  write(octets: Buffer): void {
    this.#pieces.push(octets)
    this.#bytes += octets.length
    for (let first = this.#pieces[0]; first !== undefined; first = this.#pieces[0]) {
      if (this.#bytes - first.length < mostCommentBytes + endBytes + locatorBytes + wideBytes + lineEnd.length) return
      this.#pieces.shift()
      this.#bytes -= first.length
      this.#passed += first.length
    }
  }

  /** Whether a program may take the file for an archive: an end of a directory stands there, and a directory where it says. */
  leadsToDirectory(where: 'at the end' | 'near the end'): boolean {
    const tail = Buffer.concat(this.#pieces)
    const end = contentEnd(tail)
    for (let at = tail.indexOf(endSignature); at >= 0; at = tail.indexOf(endSignature, at + 1)) {
      if (at + endBytes > tail.length) return false
      if (where === 'at the end' && !closes(tail, at, end)) continue
      const { start, base } = placeOf(tail, at, this.#passed) ?? { start: NaN, base: NaN }
      // Programs go by the size of the directory, or by where it says that it begins.
      if ([start, start - base].some((from) => this.#mayBegin(tail, from))) return true
    }
    return false
  }

  #mayBegin(tail: Buffer, from: number): boolean {
    const at = from - this.#passed
    return from >= 0 && (at < 0 || tail.subarray(at, at + entrySignature.length).equals(entrySignature))
  }

  /** Undefined: there is none that every reader finds at the same place. */
  directory(): DirectoryPlace | undefined {
    const tail = Buffer.concat(this.#pieces)
    const end = contentEnd(tail)
    const at = tail.lastIndexOf(endSignature)
    if (at < 0 || !closes(tail, at, end)) return undefined
    for (let other = tail.indexOf(endSignature); other < at; other = tail.indexOf(endSignature, other + 1))
      if (closes(tail, other, end)) return undefined
    const place = placeOf(tail, at, this.#passed)
    return place !== undefined && place.base >= 0 ? place : undefined
  }
}

/** Zeros behind it fill a block. */
function contentEnd(tail: Buffer): number {
  let end = tail.length
  while (tail[end - 1] === 0) end -= 1
  return end
}

/**
 * Nothing stands behind the end of the directory and its comment, or zeros that fill a block.
 * @param end of what is more than zeros
 */
function closes(tail: Buffer, at: number, end: number): boolean {
  if (at + endBytes > tail.length) return false
  const commentEnd = at + endBytes + tail.readUInt16LE(at + 20)
  if (commentEnd > tail.length) return false
  return commentEnd >= end || tail.subarray(commentEnd).equals(lineEnd)
}

/** @param passed octets in front of the tail */
function placeOf(tail: Buffer, at: number, passed: number): DirectoryPlace | undefined {
  const narrow = [tail.readUInt16LE(at + 10), tail.readUInt32LE(at + 12), tail.readUInt32LE(at + 16)] as const
  const locatorAt = at - locatorBytes
  if (locatorAt < 0 || tail.readUInt32LE(locatorAt) !== locatorSignature) return placeBefore(passed + at, narrow)
  const wideAt = locatorAt - wideBytes
  if (wideAt < 0 || tail.readUInt32LE(wideAt) !== wideSignature) return undefined
  const wide = [wideAt + 32, wideAt + 40, wideAt + 48].map((field) => Number(tail.readBigUInt64LE(field)))
  const [entries = NaN, bytes = NaN, offset = NaN] = wide
  const fits = narrow.every((field, index) => field === wide[index] || field === (index === 0 ? 0xffff : 0xffffffff))
  const place = placeBefore(passed + wideAt, [entries, bytes, offset])
  const told = Number(tail.readBigUInt64LE(locatorAt + 8))
  return fits && told + place.base === place.end ? place : undefined
}

function placeBefore(end: number, [entries, bytes, offset]: readonly [number, number, number]): DirectoryPlace {
  return { entries, start: end - bytes, end, base: end - bytes - offset }
}
