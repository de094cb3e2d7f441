import { open, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { parseEntry } from '../journal.ts'
import type { JournalEntry } from '../journal.ts'
import { journalFiles } from '../store/journal-tail.ts'

/** Of one file, read at once. */
const pieceBytes = 64 * 1024

/**
 * The lines of all files of a journal, by time, from `sinceAt` (epoch ms) on, in runs. Each writer's files are read side by side with
 * those of the others, a piece at a time: memory depends on the number of writers, not on the length of what they wrote.
 */
export async function* journalInOrder(folder: string, sinceAt: number): AsyncGenerator<readonly JournalEntry[]> {
  const writers: Writer[] = []
  for (const files of (await filesByWriter(folder, sinceAt)).values()) {
    const writer = new Writer(files, sinceAt)
    if (await writer.fill()) writers.push(writer)
  }
  while (writers.length > 0) {
    const [first, second] = earliest(writers)
    if (first === undefined) return
    yield first.takeUntil(second?.nextAt ?? Number.POSITIVE_INFINITY)
    if (!(await first.fill())) writers.splice(writers.indexOf(first), 1)
  }
}

class Writer {
  readonly #files: string[]
  readonly #sinceAt: number
  #position = 0
  #entries: JournalEntry[] = []
  #next = 0

  /** @param files in the order they were written */
  constructor(files: readonly string[], sinceAt: number) {
    this.#files = [...files]
    this.#sinceAt = sinceAt
  }

  get nextAt(): number {
    return this.#entries[this.#next]?.at ?? Number.POSITIVE_INFINITY
  }

  /** What is at hand and not later; at least one. */
  takeUntil(at: number): readonly JournalEntry[] {
    const from = this.#next
    this.#next += 1
    while (this.nextAt <= at && this.#next < this.#entries.length) this.#next += 1
    return this.#entries.slice(from, this.#next)
  }

  /** Reads on when all that is at hand was taken. False: there is no more. */
  async fill(): Promise<boolean> {
    while (this.#next >= this.#entries.length) {
      const [path] = this.#files
      if (path === undefined) return false
      const lines = await linesFrom(path, this.#position)
      if (lines === undefined) {
        this.#files.shift()
        this.#position = 0
        continue
      }
      this.#position = lines.end
      this.#next = 0
      this.#entries = lines.text
        .split('\n')
        .map((line) => parseEntry(line))
        .filter((entry) => entry !== undefined && entry.at >= this.#sinceAt) as JournalEntry[]
    }
    return true
  }
}

function earliest(writers: readonly Writer[]): readonly [Writer | undefined, Writer | undefined] {
  let first: Writer | undefined
  let second: Writer | undefined
  for (const writer of writers) {
    if (first === undefined || writer.nextAt < first.nextAt) [first, second] = [writer, first]
    else if (second === undefined || writer.nextAt < second.nextAt) second = writer
  }
  return [first, second]
}

/** `<writer>-<start>-<pid>-<n>.ndjson`: a writer goes on in the file with the next number. */
async function filesByWriter(folder: string, sinceAt: number): Promise<ReadonlyMap<string, readonly string[]>> {
  const found = new Map<string, { readonly path: string; readonly number: number }[]>()
  for (const name of journalFiles(folder)) {
    const path = join(folder, name)
    const known = await stat(path).catch(() => undefined)
    if (known === undefined || known.mtimeMs < sinceAt) continue
    const [, stem = name, number = '0'] = /^(.*)-(\d+)\.ndjson$/.exec(name) ?? []
    const files = found.get(stem) ?? []
    found.set(stem, files)
    files.push({ path, number: Number(number) })
  }
  return new Map(
    [...found].map(([stem, files]) => [
      stem,
      files.toSorted((one, other) => one.number - other.number).map(({ path }) => path),
    ]),
  )
}

const lineFeed = 10

/** Whole lines from a position on; `undefined`: there is none, or no file. */
async function linesFrom(
  path: string,
  position: number,
): Promise<{ readonly text: string; readonly end: number } | undefined> {
  const file = await open(path).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  })
  if (file === undefined) return undefined
  try {
    for (let length = pieceBytes; ; length *= 8) {
      const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(length), 0, length, position)
      const last = buffer.lastIndexOf(lineFeed, bytesRead - 1)
      if (bytesRead > 0 && last >= 0) return { text: buffer.toString('utf8', 0, last), end: position + last + 1 }
      if (bytesRead < length) return undefined
    }
  } finally {
    await file.close()
  }
}
