import type { DirectoryEntry } from './zip-directory.ts'
import { ArchiveTail } from './zip-end.ts'
import { agreementOf } from './zip-fields.ts'

/** A file that was read behind its own header. */
export interface ReadFile {
  /** Where its header is in the archive. */
  readonly at: number
  readonly agreement: string
  /** Octets that were looked at; undefined: nobody can know (it is encrypted). */
  readonly packedBytes: number | undefined
  readonly unpackedBytes: number | undefined
}

interface ListedFile {
  readonly agreement: string
  readonly packedBytes: number
  readonly unpackedBytes: number
  readonly offset: number
  /** Where the next one stands. */
  readonly end: number
}

/**
 * Whether the files of a ZIP archive that were read one behind the other are those that its directory leads to: only then other
 * programs see nothing else in it. Between files anything may stand, and in front of them, as it does in archives that start
 * themselves; the octets of a file are no place for another one. A few numbers per file are in memory.
 */
export class ZipAgreement {
  readonly #tail = new ArchiveTail()
  readonly #files = new Map<number, ReadFile>()
  /** Of all entries, those of archives in the archive too, by where they stand. */
  readonly #entries = new Map<number, ListedFile>()
  #filesEnd = 0

  /** All octets of the archive, in order. */
  write(octets: Buffer): void {
    this.#tail.write(octets)
  }

  list(entry: DirectoryEntry): void {
    const { at, end, offset, packedBytes, unpackedBytes } = entry
    this.#entries.set(at, { end, offset, packedBytes, unpackedBytes, agreement: agreementOf(entry) })
  }

  /** @param end where the octets of the file end */
  read(end: number, { at, agreement, packedBytes, unpackedBytes }: ReadFile): void {
    this.#files.set(at, { at, agreement, packedBytes, unpackedBytes })
    this.#filesEnd = end
  }

  /** All has come. */
  holds(): boolean {
    const place = this.#tail.directory()
    if (place === undefined || place.start < this.#filesEnd) return false
    const { start, end, base } = place
    // Others count from the beginning, or from the first file, whatever stands in front of the archive.
    const [firstFile = 0] = this.#files.keys()
    if (base > 0 && [0, firstFile].some((other) => other !== base && this.#entries.has(start - base + other)))
      return false
    let count = 0
    for (let at = start; at < end; count += 1) {
      const entry = this.#entries.get(at)
      if (entry === undefined || !agrees(entry, this.#files.get(base + entry.offset))) return false
      at = entry.end
      if (at > end) return false
    }
    return count === place.entries
  }
}

function agrees(entry: ListedFile, file: ReadFile | undefined): boolean {
  return (
    file !== undefined &&
    file.agreement === entry.agreement &&
    (file.packedBytes ?? entry.packedBytes) === entry.packedBytes &&
    (file.unpackedBytes ?? entry.unpackedBytes) === entry.unpackedBytes
  )
}
