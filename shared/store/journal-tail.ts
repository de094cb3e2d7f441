import { closeSync, openSync, readSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'

import { isJournalFile } from '../journal.ts'

/** Lines that were written since a position; they begin at `from` and end before `position`. */
export interface JournalPiece {
  readonly name: string
  readonly from: number
  readonly position: number
  readonly lines: readonly JournalLine[]
}

export interface JournalLine {
  readonly offset: number
  readonly text: string
}

interface FileState {
  /** Octets that were read and given out, whole lines. */
  position: number
  /** Octets it had when it was last found without another whole line. */
  exhaustedAt: number
  modifiedAt: number
  lookAgainAt: number
}

const pieceBytes = 1024 * 1024
/** No line is longer: a file with a longer one is given up from there. */
const mostLineBytes = 64 * 1024 * 1024
/** A file that nobody wrote to for so long, there may be hundreds, is looked at once a second. */
const quietMs = 600_000
const quietLookMs = 1_000

/**
 * Follows all files of the journal. Reads synchronously: for a thread. Where each file has been read to is the caller's to keep; what
 * was given out is not given out again.
 */
export class JournalTail {
  readonly #folder: string
  readonly #files = new Map<string, FileState>()

  /** @param positions where reading goes on, by file name; files that are not named are read from their beginning */
  constructor(folder: string, positions: ReadonlyMap<string, number>) {
    this.#folder = folder
    for (const [name, position] of positions) {
      this.#files.set(name, { position, exhaustedAt: -1, modifiedAt: 0, lookAgainAt: 0 })
    }
  }

  /**
   * What came since the last call, the file first that was written to longest ago, up to about `limitBytes`; empty: there is no more
   * now.
   */
  read(limitBytes: number, nowAt: number): readonly JournalPiece[] {
    const pieces: JournalPiece[] = []
    let left = limitBytes
    for (const { name, state, size } of this.#grown(nowAt)) {
      while (left > 0 && state.position < size) {
        const piece = this.#piece(name, state.position)
        if (piece === undefined) {
          state.exhaustedAt = size
          break
        }
        pieces.push(piece)
        left -= piece.position - piece.from
        state.position = piece.position
      }
      if (left <= 0) break
    }
    return pieces
  }

  /** Octets that are written and not read yet. */
  behindBytes(): number {
    let bytes = 0
    for (const name of journalFiles(this.#folder)) {
      const { size } = statSync(join(this.#folder, name), { throwIfNoEntry: false }) ?? { size: 0 }
      bytes += Math.max(0, size - (this.#files.get(name)?.position ?? 0))
    }
    return bytes
  }

  /** Nothing of the file, which has so many octets, is left to be read. */
  hasRead(name: string, size: number): boolean {
    return (this.#files.get(name)?.position ?? 0) >= size
  }

  /** Names of files that are known and no longer there. */
  gone(): readonly string[] {
    const present = new Set(journalFiles(this.#folder))
    return [...this.#files.keys()].filter((name) => !present.has(name))
  }

  forget(name: string): void {
    this.#files.delete(name)
  }

  #grown(nowAt: number): readonly { readonly name: string; readonly state: FileState; readonly size: number }[] {
    const grown: { name: string; state: FileState; size: number }[] = []
    for (const name of journalFiles(this.#folder)) {
      const state = this.#files.get(name) ?? { position: 0, exhaustedAt: -1, modifiedAt: 0, lookAgainAt: 0 }
      this.#files.set(name, state)
      if (state.lookAgainAt > nowAt) continue
      const found = statSync(join(this.#folder, name), { throwIfNoEntry: false })
      if (found === undefined) continue
      state.modifiedAt = found.mtimeMs
      state.lookAgainAt = nowAt - found.mtimeMs > quietMs ? nowAt + quietLookMs : 0
      if (found.size > state.position && found.size !== state.exhaustedAt) grown.push({ name, state, size: found.size })
    }
    return grown.sort((one, other) => one.state.modifiedAt - other.state.modifiedAt)
  }

  #piece(name: string, from: number): JournalPiece | undefined {
    for (let length = pieceBytes; length <= mostLineBytes; length *= 8) {
      const octets = readAt(join(this.#folder, name), from, length)
      const end = octets.lastIndexOf(lineFeed)
      if (end >= 0) return { name, from, position: from + end + 1, lines: linesOf(octets.subarray(0, end + 1), from) }
      if (octets.length < length) return undefined
    }
    return undefined
  }
}

const lineFeed = 10

/** Names of the journal's files in a folder; none when there is no folder. */
export function journalFiles(folder: string): readonly string[] {
  try {
    return readdirSync(folder).filter(isJournalFile)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/** The line that begins at an offset, without its end; `undefined`: the file is gone, or shorter. */
export function lineAt(folder: string, name: string, offset: number): string | undefined {
  for (let length = 4096; length <= mostLineBytes; length *= 8) {
    const octets = readAt(join(folder, name), offset, length)
    const end = octets.indexOf(lineFeed)
    if (end >= 0) return octets.toString('utf8', 0, end)
    if (octets.length < length) return undefined
  }
  return undefined
}

function linesOf(octets: Buffer, from: number): readonly JournalLine[] {
  const lines: JournalLine[] = []
  for (let start = 0; start < octets.length;) {
    const end = octets.indexOf(lineFeed, start)
    lines.push({ offset: from + start, text: octets.toString('utf8', start, end) })
    start = end + 1
  }
  return lines
}

/** Up to `length` octets; none when the file is gone. */
function readAt(path: string, from: number, length: number): Buffer {
  let fd: number
  try {
    fd = openSync(path, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return Buffer.alloc(0)
    throw error
  }
  try {
    const octets = Buffer.allocUnsafe(length)
    let read = 0
    while (read < length) {
      const count = readSync(fd, octets, read, length - read, from + read)
      if (count === 0) break
      read += count
    }
    return octets.subarray(0, read)
  } finally {
    closeSync(fd)
  }
}
