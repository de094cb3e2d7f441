import { constants, createInflateRaw } from 'node:zlib'

import { macroType } from './file-kind.ts'
import { FileLook } from './file-look.ts'
import type { Look, Place, Search } from './search.ts'
import { isOfZlib, Unpacker } from './unpacker.ts'
import { ZipAgreement } from './zip-agreement.ts'
import { ZipDirectory } from './zip-directory.ts'
import type { DirectoryEntry } from './zip-directory.ts'
import { agreementOf, isEncrypted, wideFields } from './zip-fields.ts'

const signature = Buffer.from('PK\x03\x04', 'latin1')
const descriptorSignature = Buffer.from('PK\x07\x08', 'latin1')
/** A data descriptor up to the packed size, or its lower half. */
const descriptorBytes = 12
/** A local header up to its name. */
const fixedBytes = 30
const chunkBytes = 65_536
const stored = 0
const deflated = 8
const macros = /(?:^|[/\\])vbaproject\.bin$/i

/** What a local header says of the file behind it. */
interface Header {
  readonly at: number
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
  /** Where its header is in the archive. */
  readonly at: number
  readonly agreement: string
  /** How it is read; `described`: as it is, until a data descriptor says that it ends. */
  form: 'skipped' | 'stored' | 'described' | 'deflated'
  /** Octets that are to come; Infinity: until they say themselves that they end. */
  left: number
  /** Absent: it is skipped from the beginning. */
  readonly look?: FileLook
  readonly unpacker?: Unpacker
  /** Octets that were looked at; absent: nobody can know. */
  packedBytes: number | undefined
  unpackedBytes: number | undefined
  /** Of a described file: a data descriptor may begin in them. */
  held: Buffer
}

/**
 * A ZIP archive (APPNOTE.TXT 6.3) as its octets come along: the files behind their own headers, and in addition the names of the
 * directory. What does not fit together is searched for the next header, and told as unreadable: other programs may find in it what was
 * not looked at.
 */
export class ZipLook implements Look {
  readonly #search: Search
  readonly #place: Place
  readonly #directory = new ZipDirectory()
  readonly #agreement = new ZipAgreement()
  /** That the directory has told. */
  #names = 0
  /** Octets of the archive that have come. */
  #come = 0
  #rest: Buffer = Buffer.alloc(0)
  #entry: Entry | undefined

  constructor(search: Search, place: Place) {
    this.#search = search
    this.#place = place
  }

  async write(octets: Buffer): Promise<void> {
    this.#come += octets.length
    this.#agreement.write(octets)
    this.#list(this.#directory.write(octets))
    let all = this.#rest.length === 0 ? octets : Buffer.concat([this.#rest, octets])
    for (;;) {
      if (this.#entry === undefined) {
        const header = this.#nextHeader(all)
        if (header === undefined) break
        this.#entry = this.#begin(header, this.#come - all.length + header.at)
        all = all.subarray(header.end)
      }
      const entry = this.#entry
      if (all.length === 0 && entry.left > 0) break
      all = all.subarray(await this.#take(entry, all))
      if (entry.left > 0) continue
      this.#entry = undefined
      await this.#endEntry(entry, this.#come - all.length)
    }
    if (this.#entry !== undefined) this.#rest = Buffer.alloc(0)
  }

  async end(): Promise<void> {
    this.#list(this.#directory.end())
    // No directory can follow.
    if (this.#entry !== undefined) await this.#endEntry(this.#entry, Infinity)
    // In no octets nothing hides.
    if (this.#come > 0 && !this.#agreement.holds()) this.#reportUnreadable('files and directory that do not agree')
  }

  /** @throws LimitReached */
  #list(entries: readonly DirectoryEntry[]): void {
    for (const entry of entries) {
      this.#names += 1
      this.#search.limitFiles(this.#names)
      this.#tell(entry.name, entry.isEncrypted)
      this.#agreement.list(entry)
    }
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

  #reportUnreadable(text: string): void {
    this.#search.report({ kind: 'unreadable', text }, this.#place)
  }

  /** @throws LimitReached */
  #begin(header: Header, at: number): Entry {
    const { name, isEncrypted: sealed, method, packedBytes } = header
    const look = new FileLook(this.#search, name, this.#place)
    this.#tell(name, sealed)
    const isKnown = method === stored || method === deflated
    if (!sealed && !isKnown) this.#reportUnreadable(name)
    const begun = { at, agreement: agreementOf(header), held: Buffer.alloc(0) }
    // Of a file without a size whose end cannot be seen the next header is searched for.
    if (sealed || !isKnown)
      return { ...begun, form: 'skipped', left: packedBytes ?? 0, packedBytes, unpackedBytes: undefined }
    const counted = { ...begun, look, left: packedBytes ?? Infinity, packedBytes: 0, unpackedBytes: 0 }
    if (method === deflated) return this.#deflated(counted)
    if (packedBytes !== undefined) return { ...counted, form: 'stored' }
    // A folder has no octets, and not everybody writes a data descriptor for it.
    return name.endsWith('/') ? { ...counted, form: 'stored', left: 0 } : { ...counted, form: 'described' }
  }

  #deflated(begun: Omit<Entry, 'form' | 'unpacker'>): Entry {
    const stream = createInflateRaw({ chunkSize: chunkBytes, finishFlush: constants.Z_SYNC_FLUSH })
    let unpacked = 0
    const take = async (octets: Buffer): Promise<void> => {
      unpacked += octets.length
      entry.unpackedBytes = unpacked
      this.#search.countUnpacked(octets.length, { unpacked, packed: stream.bytesWritten })
      await entry.look?.write(octets)
    }
    const unpacker = new Unpacker(stream, take, this.#search.unpackers)
    const entry: Entry = { ...begun, form: 'deflated', unpacker }
    return entry
  }

  /** How many of the octets are of this file. */
  async #take(entry: Entry, all: Buffer): Promise<number> {
    if (entry.form === 'described') return takeDescribed(entry, all)
    const piece = all.subarray(0, entry.left)
    const taken = entry.form === 'deflated' ? await this.#unpack(entry, piece) : piece.length
    if (entry.form === 'stored') await takeStored(entry, piece)
    entry.left -= taken
    return taken
  }

  async #unpack(entry: Entry, piece: Buffer): Promise<number> {
    const { unpacker, left, packedBytes = 0 } = entry
    if (unpacker === undefined) return piece.length
    try {
      const taken = await unpacker.write(piece)
      entry.packedBytes = packedBytes + taken
      if (left === Infinity && unpacker.isEnded) entry.left = taken
      // Behind the end of its data a file of known size is only skipped: it is not as long as the directory says.
      return left === Infinity ? taken : piece.length
    } catch (error) {
      if (!isOfZlib(error)) throw error
      unpacker.close()
      this.#reportUnreadable('damaged')
      entry.form = 'skipped'
      if (left === Infinity) entry.left = 0
      return left === Infinity ? 0 : piece.length
    }
  }

  /** @param end where the octets of the file end */
  async #endEntry(entry: Entry, end: number): Promise<void> {
    try {
      await entry.unpacker?.end()
    } catch (error) {
      if (!isOfZlib(error)) throw error
    }
    await entry.look?.end()
    this.#agreement.read(end, entry)
  }
}

async function takeStored(entry: Entry, octets: Buffer): Promise<void> {
  entry.packedBytes = entry.unpackedBytes = (entry.packedBytes ?? 0) + octets.length
  await entry.look?.write(octets)
}

/** A data descriptor is known by its signature, and that it tells the number of octets in front of it (APPNOTE.TXT 4.3.9). */
async function takeDescribed(entry: Entry, octets: Buffer): Promise<number> {
  const heldBytes = entry.held.length
  const all = heldBytes === 0 ? octets : Buffer.concat([entry.held, octets])
  const soFar = entry.packedBytes ?? 0
  let at = all.indexOf(descriptorSignature)
  while (at >= 0 && at + descriptorBytes <= all.length && all.readUInt32LE(at + 8) !== (soFar + at) % 2 ** 32)
    at = all.indexOf(descriptorSignature, at + 1)
  const end = at < 0 ? Math.max(0, all.length - descriptorSignature.length + 1) : at
  entry.held = all.subarray(end)
  await takeStored(entry, all.subarray(0, end))
  if (at < 0 || at + descriptorBytes > all.length) return octets.length
  entry.left = 0
  return at + descriptorBytes - heldBytes
}

/** The header at an offset; undefined: it has not come whole. */
function readHeader(all: Buffer, at: number): Header | undefined {
  if (at + fixedBytes > all.length) return undefined
  const extraAt = at + fixedBytes + all.readUInt16LE(at + 26)
  const end = extraAt + all.readUInt16LE(at + 28)
  if (end > all.length) return undefined
  const flags = all.readUInt16LE(at + 6)
  const fields = [all.readUInt32LE(at + 22), all.readUInt32LE(at + 18)]
  const [, packed = NaN] = wideFields(fields, all.subarray(extraAt, end))
  const isUnsized = !Number.isSafeInteger(packed) || ((flags & 8) !== 0 && packed === 0)
  return {
    at,
    name: all.toString('utf8', at + fixedBytes, extraAt),
    isEncrypted: isEncrypted(flags),
    method: all.readUInt16LE(at + 8),
    packedBytes: isUnsized ? undefined : packed,
    end,
  }
}
