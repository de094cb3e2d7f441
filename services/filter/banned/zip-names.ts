/** A directory entry up to its name, and the longest name. */
const fixedBytes = 46
const mostNameBytes = 1_024
const mostNames = 10_000
const signature = Buffer.from('PK\x01\x02', 'latin1')

/**
 * File names in the directory of a ZIP archive (also jar, docx and their like), as its octets come along. The directory lies in the
 * clear even where the files are encrypted. Archives inside the archive are not opened.
 */
export class ZipNames {
  #rest: Buffer = Buffer.alloc(0)
  #count = 0

  /** The names that end in these octets. */
  write(octets: Buffer): readonly string[] {
    const all = this.#rest.length === 0 ? octets : Buffer.concat([this.#rest, octets])
    const names: string[] = []
    let from = 0
    for (;;) {
      const at = all.indexOf(signature, from)
      if (at < 0) {
        this.#rest = all.subarray(Math.max(from, all.length - signature.length + 1))
        return names
      }
      if (at + fixedBytes > all.length) return this.#keep(all, at, names)
      const nameBytes = all.readUInt16LE(at + 28)
      const end = at + fixedBytes + nameBytes
      if (nameBytes > 0 && nameBytes <= mostNameBytes && this.#count < mostNames) {
        if (end > all.length) return this.#keep(all, at, names)
        names.push(all.toString('utf8', at + fixedBytes, end))
        this.#count += 1
      }
      from = at + signature.length
    }
  }

  #keep(all: Buffer, at: number, names: readonly string[]): readonly string[] {
    this.#rest = all.subarray(at)
    return names
  }
}
