/** A directory entry up to its name, and the longest name. */
const fixedBytes = 46
const mostNameBytes = 1_024
const signature = Buffer.from('PK\x01\x02', 'latin1')

export interface DirectoryEntry {
  readonly name: string
  readonly isEncrypted: boolean
}

/**
 * The directory of a ZIP archive (also jar, docx and their like), found as its octets come along, wherever it lies: it is what other
 * programs go by, and lies in the clear even where the files are encrypted.
 */
export class ZipDirectory {
  #rest: Buffer = Buffer.alloc(0)

  /** The entries that end in these octets. */
  write(octets: Buffer): readonly DirectoryEntry[] {
    const all = this.#rest.length === 0 ? octets : Buffer.concat([this.#rest, octets])
    const entries: DirectoryEntry[] = []
    let from = 0
    for (;;) {
      const at = all.indexOf(signature, from)
      if (at < 0) {
        this.#rest = all.subarray(Math.max(from, all.length - signature.length + 1))
        return entries
      }
      if (at + fixedBytes > all.length) return this.#keep(all, at, entries)
      const nameBytes = all.readUInt16LE(at + 28)
      const end = at + fixedBytes + nameBytes
      if (nameBytes > 0 && nameBytes <= mostNameBytes) {
        if (end > all.length) return this.#keep(all, at, entries)
        const name = all.toString('utf8', at + fixedBytes, end)
        entries.push({ name, isEncrypted: isEncrypted(all.readUInt16LE(at + 8)) })
      }
      from = at + signature.length
    }
  }

  #keep(all: Buffer, at: number, entries: readonly DirectoryEntry[]): readonly DirectoryEntry[] {
    this.#rest = all.subarray(at)
    return entries
  }
}

/** Of the general purpose flags of an entry. */
export function isEncrypted(flags: number): boolean {
  return (flags & 1) !== 0
}
