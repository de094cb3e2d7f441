import { isEncrypted, mostNameBytes, wideFields } from './zip-fields.ts'

/** A directory entry up to its name. */
const fixedBytes = 46
const signature = Buffer.from('PK\x01\x02', 'latin1')

export interface DirectoryEntry {
  /** Where it begins in the archive, and where the next one does. */
  readonly at: number
  readonly end: number
  readonly name: string
  readonly isEncrypted: boolean
  readonly method: number
  readonly packedBytes: number
  readonly unpackedBytes: number
  /** Of the file's own header, as written. */
  readonly offset: number
}

/**
 * The directory of a ZIP archive (also jar, docx and their like), found as its octets come along, wherever it lies: it is what other
 * programs go by, and lies in the clear even where the files are encrypted.
 */
export class ZipDirectory {
  #rest: Buffer = Buffer.alloc(0)
  /** Octets in front of the rest. */
  #passed = 0

  /** The entries that end in these octets. */
  write(octets: Buffer): readonly DirectoryEntry[] {
    return this.#read(this.#rest.length === 0 ? octets : Buffer.concat([this.#rest, octets]), false)
  }

  /** Those that something longer, which did not come whole, has held back. */
  end(): readonly DirectoryEntry[] {
    return this.#read(this.#rest, true)
  }

  #read(all: Buffer, isLast: boolean): readonly DirectoryEntry[] {
    const entries: DirectoryEntry[] = []
    let from = 0
    for (;;) {
      const at = all.indexOf(signature, from)
      if (at < 0) {
        this.#keep(all, Math.max(from, all.length - signature.length + 1))
        return entries
      }
      const found = readEntry(all, at, isLast)
      if (found === 'more' && !isLast) {
        this.#keep(all, at)
        return entries
      }
      if (found !== 'more' && found !== 'none')
        entries.push({ ...found, at: this.#passed + at, end: this.#passed + found.end })
      from = at + signature.length
    }
  }

  #keep(all: Buffer, from: number): void {
    this.#passed += from
    this.#rest = all.subarray(from)
  }
}

/** `more`: it has not come whole; of the last ones the name is enough. */
function readEntry(all: Buffer, at: number, isLast: boolean): DirectoryEntry | 'more' | 'none' {
  if (at + fixedBytes > all.length) return 'more'
  const nameBytes = all.readUInt16LE(at + 28)
  if (nameBytes > mostNameBytes) return 'none'
  const extraAt = at + fixedBytes + nameBytes
  const extraEnd = extraAt + all.readUInt16LE(at + 30)
  if (extraAt > all.length || (extraEnd > all.length && !isLast)) return 'more'
  const fields = [all.readUInt32LE(at + 24), all.readUInt32LE(at + 20), all.readUInt32LE(at + 42)]
  const [unpackedBytes = NaN, packedBytes = NaN, offset = NaN] = wideFields(fields, all.subarray(extraAt, extraEnd))
  return {
    at,
    end: extraEnd + all.readUInt16LE(at + 32),
    name: all.toString('utf8', at + fixedBytes, extraAt),
    isEncrypted: isEncrypted(all.readUInt16LE(at + 8)),
    method: all.readUInt16LE(at + 10),
    packedBytes,
    unpackedBytes,
    offset,
  }
}
