import type { LookKind } from './file-kind.ts'
import type { FoundFile } from './found-file.ts'
import type { Unpacker } from './unpacker.ts'

/** Where a file lies: attached, or in archives that lie in each other. */
export interface Place {
  readonly inside?: string
  readonly depth: number
}

/** Looks at one file as its octets come along. @throws LimitReached */
export interface Look {
  write(octets: Buffer): Promise<void>
  end(): Promise<void>
}

export interface SearchLimits {
  /** Archives in each other. */
  readonly depth: number
  /** In all archives of a message. */
  readonly files: number
  readonly unpackedBytes: number
}

/** @param kind undefined: nothing that is known @param name of the file that lies at `place` @throws LimitReached */
export type OpenLook = (search: Search, kind: LookKind | undefined, name: string, place: Place) => Look

export interface SearchParts {
  readonly limits: SearchLimits
  readonly tell: (found: FoundFile) => void
  readonly signal: AbortSignal
  readonly openLook: OpenLook
}

/** What lies in archives is looked at no further. */
export class LimitReached extends Error {
  override readonly name = 'LimitReached'
}

/** Small files may be packed as they like. */
const freeBytes = 33_554_432
/** Deflate packs up to 1 : 1032; what people write to each other comes nowhere near. */
const mostRatio = 250

interface SearchCount {
  files: number
  unpackedBytes: number
}

function nothing(): SearchCount {
  return { files: 0, unpackedBytes: 0 }
}

/** What lies in the archives of one message: tells what is found, and keeps count. */
export class Search {
  /** A limit was reached: archives are not looked into any more. */
  isOver = false
  readonly #parts: SearchParts
  /** Those at work. */
  readonly unpackers = new Set<Unpacker>()
  readonly #asides = new Set<Search>()
  readonly #count: SearchCount
  readonly #countAside: SearchCount

  constructor(parts: SearchParts, count = nothing(), countAside = nothing()) {
    this.#parts = parts
    this.#count = count
    this.#countAside = countAside
  }

  close(): void {
    for (const unpacker of this.unpackers) unpacker.close()
    for (const aside of this.#asides) aside.close()
  }

  /** For another way to read the same octets, with the same limits: all such of a message are counted together, apart from it. */
  aside(tell: SearchParts['tell']): Search {
    const aside = new Search({ ...this.#parts, tell }, this.#countAside, this.#countAside)
    this.#asides.add(aside)
    return aside
  }

  closeAside(aside: Search): void {
    this.#asides.delete(aside)
    aside.close()
  }

  /** What an aside has found. */
  tell(found: FoundFile): void {
    this.#parts.tell(found)
  }

  report(found: FoundFile, { inside }: Place): void {
    this.tell(inside === undefined ? found : { ...found, inside })
  }

  /** A file of an archive is told by its name. @throws LimitReached */
  countFile(name: string, place: Place): void {
    this.#count.files += 1
    this.limitFiles(this.#count.files)
    this.report({ kind: 'name', text: name }, place)
  }

  /** @throws LimitReached when these are more files than may be */
  limitFiles(count: number): void {
    const { files } = this.#parts.limits
    if (count > files) throw new LimitReached(`more than ${files} files in archives`)
  }

  /** What looks into a file of this kind. @throws LimitReached */
  open(kind: LookKind | undefined, name: string, place: Place): Look {
    return this.#parts.openLook(this, kind, name, place)
  }

  /** The place in an archive. @throws LimitReached */
  enter(name: string, place: Place): Place {
    const { depth } = this.#parts.limits
    if (place.depth >= depth) throw new LimitReached(`archives more than ${depth} deep`)
    return { ...within(name, place), depth: place.depth + 1 }
  }

  /** @param file how much of it is unpacked, and from how much @throws LimitReached, the reason of the signal */
  countUnpacked(bytes: number, file: { readonly unpacked: number; readonly packed: number }): void {
    this.#parts.signal.throwIfAborted()
    this.#count.unpackedBytes += bytes
    const { unpackedBytes } = this.#parts.limits
    if (this.#count.unpackedBytes > unpackedBytes)
      throw new LimitReached(`unpacks to more than ${unpackedBytes} octets`)
    if (file.unpacked > freeBytes && file.unpacked > file.packed * mostRatio)
      throw new LimitReached(`unpacks to more than ${mostRatio} times its size`)
  }
}

/** The place of what is part of a file. */
export function within(name: string, { inside, depth }: Place): Place {
  const shown = name === '' ? 'an archive' : name
  return { inside: inside === undefined ? shown : `${shown} in ${inside}`, depth }
}
