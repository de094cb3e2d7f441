import { open, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { isJournalFile, parseEntry, withoutArrival } from './journal.ts'
import type { JournalEntry } from './journal.ts'

/** The newest events of all processes. Reads what was written since it was last asked, and nothing while nobody asks. */
export interface EventTail {
  /** The newest first, at most `limit`; `number`: behind them. */
  latest(
    limit: number,
    filter?: EventFilter,
  ): Promise<{ readonly events: readonly JournalEntry[]; readonly number: number }>
  /** What came behind a place, in the order in which it was read; numbers say how much of it is kept no more. */
  after(number: number, filter?: EventFilter): Promise<NewEvents>
}

/** Of what is told: all of it must fit; absent: anything does. */
export interface EventFilter {
  /** Each stands somewhere in the line, in any case. */
  readonly words?: readonly string[]
  readonly event?: string | undefined
  readonly stage?: string | undefined
}

export interface NewEvents {
  readonly events: readonly { readonly number: number; readonly entry: JournalEntry }[]
  /** Behind all of them. */
  readonly number: number
  /** So many came in between and are not kept any more. */
  readonly missed: number
}

interface Kept {
  readonly entry: JournalEntry
  readonly line: string
  /** In the order in which they were read. */
  readonly number: number
}

/** Events kept in memory, about 1 MB. */
const mostKept = 2_000
/** Of one file at a time; what comes faster is skipped, and found by a search. */
const mostReadBytes = 512 * 1024
/** At the first look: files that nobody wrote to for longer are not opened. */
const youngMs = 24 * 3_600_000

/** @param folders of the journal, and of the log of sessions */
export function openEventTail(folders: readonly string[], now: () => number): EventTail {
  const positions = new Map<string, number>()
  /** In the order in which they were read. */
  let kept: readonly Kept[] = []
  let number = 0
  let isFirst = true
  let reading: Promise<void> | undefined

  async function readOn(): Promise<void> {
    const paths = (await Promise.all(folders.map(journalPaths))).flat()
    for (const path of positions.keys()) if (!paths.includes(path)) positions.delete(path)
    const found = await Promise.all(paths.map((path) => read(path)))
    isFirst = false
    const fresh = found.flat().sort((one, other) => one.entry.at - other.entry.at)
    if (fresh.length === 0) return
    const numbered = fresh.map((one) => ({ ...one, number: (number += 1) }))
    kept = [...kept, ...numbered].slice(-mostKept)
  }

  async function read(path: string): Promise<readonly Omit<Kept, 'number'>[]> {
    const found = await stat(path).catch(() => undefined)
    if (found === undefined) return []
    const known = positions.get(path)
    if (known === found.size) return []
    if (isFirst && now() - found.mtimeMs > youngMs) {
      positions.set(path, found.size)
      return []
    }
    // A log of sessions begins anew when it is long.
    const begun = known === undefined || known > found.size ? 0 : known
    const from = Math.max(begun, found.size - mostReadBytes)
    const octets = await readPiece(path, from, found.size)
    const end = octets.lastIndexOf(lineFeed) + 1
    positions.set(path, from + end)
    // What was skipped ends in the middle of a line.
    const start = from > begun ? octets.indexOf(lineFeed) + 1 : 0
    return linesOf(octets.toString('utf8', start, Math.max(start, end)))
  }

  async function upToDate(): Promise<void> {
    reading ??= readOn().finally(() => (reading = undefined))
    await reading
  }

  return {
    async latest(limit, filter = {}) {
      await upToDate()
      const byTime = kept.toSorted((one, other) => other.entry.at - one.entry.at || other.number - one.number)
      const wanted = byTime.filter((one) => isWanted(one, filter)).slice(0, limit)
      return { events: wanted.map(({ entry }) => entry), number }
    },
    async after(place, filter = {}) {
      await upToDate()
      const oldest = kept[0]?.number ?? number + 1
      const events = kept.filter((one) => one.number > place && isWanted(one, filter))
      return { events, number, missed: Math.max(0, oldest - place - 1) }
    },
  }
}

function isWanted({ entry, line }: Kept, { words = [], event, stage }: EventFilter): boolean {
  if (event !== undefined && entry.event !== event) return false
  if (stage !== undefined && entry['stage'] !== stage && entry['queue'] !== stage) return false
  if (words.length === 0) return true
  const text = line.toLowerCase()
  return words.every((word) => text.includes(asInJson(word.toLowerCase())))
}

/** Quotes and backslashes stand in the line as JSON writes them. */
function asInJson(word: string): string {
  return JSON.stringify(word).slice(1, -1)
}

async function journalPaths(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch(() => [])
  return names.filter(isJournalFile).map((name) => join(folder, name))
}

const lineFeed = 10

function linesOf(text: string): readonly Omit<Kept, 'number'>[] {
  return text.split('\n').flatMap((line) => {
    const entry = line === '' ? undefined : parseEntry(line)
    return entry === undefined ? [] : [{ entry: withoutArrival(entry), line }]
  })
}

/** Empty when the file is gone. */
async function readPiece(path: string, from: number, to: number): Promise<Buffer> {
  const file = await open(path).catch(() => undefined)
  if (file === undefined) return Buffer.alloc(0)
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(to - from), 0, to - from, from)
    return buffer.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}
