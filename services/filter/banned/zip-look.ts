import { constants, createInflateRaw } from 'node:zlib'

import { macroType } from './file-kind.ts'
import { FileLook } from './file-look.ts'
import type { Look, Place, Search } from './search.ts'
import { isOfZlib, Unpacker } from './unpacker.ts'
import { isEncrypted, ZipDirectory } from './zip-directory.ts'

const signature = Buffer.from('PK\x03\x04', 'latin1')
/** A local header up to its name. */
const fixedBytes = 30
const chunkBytes = 65_536
const stored = 0
const deflated = 8
const macros = /(?:^|[/\\])vbaproject\.bin$/i

/** What a local header says of the file behind it. */
interface Header {
  readonly name: string
  readonly isEncrypted: boolean
  readonly method: number
  /** Absent: the header was written before the file was packed. */
  readonly packedBytes: number | undefined
  /** Where the file begins. */
  readonly end: number
}

/** The file that goes by. */
interface Entry {
  /** Octets that are to come; Infinity: until the packed data says that it ends. */
  left: number
  /** Absent: it is skipped. */
  readonly look?: FileLook
  readonly unpacker?: Unpacker
}

/**
 * A ZIP archive (APPNOTE.TXT 6.3) as its octets come along: the files behind their own headers, and in addition the names of the
 * directory. What does not fit together is searched for the next header.
 */
export class ZipLook implements Look {
  readonly #search: Search
  readonly #place: Place
  readonly #directory = new ZipDirectory()
  /** That the directory has told. */
  #names = 0
  #rest: Buffer = Buffer.alloc(0)
  #entry: Entry | undefined

  constructor(search: Search, place: Place) {
    this.#search = search
    this.#place = place
  }

  async write(octets: Buffer): Promise<void> {
    for (const { name, isEncrypted } of this.#directory.write(octets)) {
      this.#names += 1
      this.#search.limitFiles(this.#names)
      this.#tell(name, isEncrypted)
    }
    let all = this.#rest.length === 0 ? octets : Buffer.concat([this.#rest, octets])
    for (;;) {
      if (this.#entry === undefined) {
        const header = this.#nextHeader(all)
        if (header === undefined) break
        this.#entry = this.#begin(header)
        all = all.subarray(header.end)
      }
      if (all.length === 0 && this.#entry.left > 0) break
      all = all.subarray(await this.#data(this.#entry, all))
    }
    if (this.#entry !== undefined) this.#rest = Buffer.alloc(0)
  }

  async end(): Promise<void> {
    if (this.#entry !== undefined) await this.#endEntry(this.#entry)
  }

  /** Undefined: it has not come yet; what may be its beginning is kept. */
  #nextHeader(all: Buffer): Header | undefined {
    const at = all.indexOf(signature)
    const from = at < 0 ? Math.max(0, all.length - signature.length + 1) : at
    this.#rest = all.subarray(from)
    return at < 0 ? undefined : readHeader(all, at)
  }

  #tell(name: string, sealed: boolean): void {
    this.#search.report({ kind: 'name', text: name }, this.#place)
    if (macros.test(name)) this.#search.report({ kind: 'type', text: macroType }, this.#place)
    if (sealed) this.#search.report({ kind: 'encrypted', text: name }, this.#place)
  }

  /** @throws LimitReached */
  #begin({ name, isEncrypted: sealed, method, packedBytes }: Header): Entry {
    const look = new FileLook(this.#search, name, this.#place)
    this.#tell(name, sealed)
    const isKnown = method === stored || method === deflated
    if (!sealed && !isKnown) this.#search.report({ kind: 'unreadable', text: name }, this.#place)
    // Of a file without a size whose end cannot be seen the next header is searched for.
    if (sealed || !isKnown || (method === stored && packedBytes === undefined)) return { left: packedBytes ?? 0 }
    const left = packedBytes ?? Infinity
    return method === stored ? { left, look } : { left, look, unpacker: this.#unpacker(look) }
  }

  #unpacker(look: FileLook): Unpacker {
    const stream = createInflateRaw({ chunkSize: chunkBytes, finishFlush: constants.Z_SYNC_FLUSH })
    let unpacked = 0
    const take = async (octets: Buffer): Promise<void> => {
      unpacked += octets.length
      this.#search.countUnpacked(octets.length, { unpacked, packed: stream.bytesWritten })
      await look.write(octets)
    }
    return new Unpacker(stream, take, this.#search.unpackers)
  }

  /** How many of the octets are of this file. */
  async #data(entry: Entry, all: Buffer): Promise<number> {
    const piece = all.subarray(0, entry.left)
    const taken = await this.#take(entry, piece)
    entry.left -= taken
    const isOver = entry.left === 0 || (entry.left === Infinity && entry.unpacker?.isEnded !== false)
    if (isOver) {
      this.#entry = undefined
      await this.#endEntry(entry)
    }
    return taken
  }

  async #take(entry: Entry, piece: Buffer): Promise<number> {
    const { unpacker, look } = entry
    if (unpacker === undefined) {
      await look?.write(piece)
      return piece.length
    }
    try {
      const taken = await unpacker.write(piece)
      // Behind the end of its data a file of known size is only skipped.
      return entry.left === Infinity ? taken : piece.length
    } catch (error) {
      if (!isOfZlib(error)) throw error
      unpacker.close()
      this.#search.report({ kind: 'unreadable', text: 'damaged' }, this.#place)
      const isSized = entry.left !== Infinity
      this.#entry = { left: isSized ? entry.left - piece.length : 0 }
      return isSized ? piece.length : 0
    }
  }

  async #endEntry({ look, unpacker }: Entry): Promise<void> {
    try {
      await unpacker?.end()
    } catch (error) {
      if (!isOfZlib(error)) throw error
    }
    await look?.end()
  }
}

/** The header at an offset; undefined: it has not come whole. */
function readHeader(all: Buffer, at: number): Header | undefined {
  if (at + fixedBytes > all.length) return undefined
  const nameBytes = all.readUInt16LE(at + 26)
  const extraAt = at + fixedBytes + nameBytes
  const end = extraAt + all.readUInt16LE(at + 28)
  if (end > all.length) return undefined
  const flags = all.readUInt16LE(at + 6)
  const packed = all.readUInt32LE(at + 18)
  const isUnsized = (flags & 8) !== 0 && packed === 0
  return {
    name: all.toString('utf8', at + fixedBytes, extraAt),
    isEncrypted: isEncrypted(flags),
    method: all.readUInt16LE(at + 8),
    packedBytes: isUnsized ? undefined : packed === 0xffffffff ? largeSize(all.subarray(extraAt, end)) : packed,
    end,
  }
}

/** The packed size in the extra field of ZIP64 (APPNOTE.TXT 4.5.3), behind the other one. */
function largeSize(extra: Buffer): number | undefined {
  for (let at = 0; at + 4 <= extra.length; at += 4 + extra.readUInt16LE(at + 2)) {
    if (extra.readUInt16LE(at) !== 1 || at + 20 > extra.length) continue
    const size = Number(extra.readBigUInt64LE(at + 12))
    return Number.isSafeInteger(size) ? size : undefined
  }
  return undefined
}
