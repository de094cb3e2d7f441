import { open, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { isJournalFile, parseEntry, withoutArrival } from '../../shared/journal.ts'
import type { JournalEntry } from '../../shared/journal.ts'

/** The newest events of all processes. Reads what was written since it was last asked, and nothing while nobody asks. */
export interface EventTail {
  /** The newest first, at most `limit`; with `word` those in whose line of the journal it stands, in any case. */
  latest(limit: number, word?: string): Promise<readonly JournalEntry[]>
}

interface Kept {
  readonly entry: JournalEntry
  readonly line: string
}

/** Events kept in memory, about 1 MB. */
const mostKept = 2_000
/** Of one file at a time; what comes faster is skipped, and found by a search. */
const mostReadBytes = 512 * 1024
/** At the first look: files that nobody wrote to for longer are not opened. */
const youngMs = 24 * 3_600_000

export function openEventTail(folder: string, now: () => number): EventTail {
  const positions = new Map<string, number>()
  let kept: readonly Kept[] = []
  let reading: Promise<void> | undefined

  async function readOn(): Promise<void> {
    const isFirst = positions.size === 0
    const names = (await readdir(folder).catch(() => [])).filter(isJournalFile)
    for (const name of positions.keys()) if (!names.includes(name)) positions.delete(name)
    const found = await Promise.all(names.map((name) => read(name, isFirst)))
    const fresh = found.flat()
    if (fresh.length === 0) return
    const all = [...kept, ...fresh].sort((one, other) => one.entry.at - other.entry.at)
    kept = all.slice(-mostKept)
  }

  async function read(name: string, isFirst: boolean): Promise<readonly Kept[]> {
    const path = join(folder, name)
    const found = await stat(path).catch(() => undefined)
    if (found === undefined) return []
    const known = positions.get(name)
    if (known === found.size) return []
    if (isFirst && now() - found.mtimeMs > youngMs) {
      positions.set(name, found.size)
      return []
    }
    const from = Math.max(known ?? 0, found.size - mostReadBytes)
    const octets = await readPiece(path, from, found.size)
    const end = octets.lastIndexOf(lineFeed) + 1
    positions.set(name, from + end)
    // What was skipped ends in the middle of a line.
    const start = from > (known ?? 0) ? octets.indexOf(lineFeed) + 1 : 0
    return linesOf(octets.toString('utf8', start, Math.max(start, end)))
  }

  return {
    async latest(limit, word = '') {
      reading ??= readOn().finally(() => (reading = undefined))
      await reading
      const wanted = word.toLowerCase()
      const fitting: JournalEntry[] = []
      for (let index = kept.length - 1; index >= 0 && fitting.length < limit; index -= 1) {
        const one = kept[index]
        if (one !== undefined && (wanted === '' || one.line.toLowerCase().includes(wanted))) fitting.push(one.entry)
      }
      return fitting
    },
  }
}

const lineFeed = 10

function linesOf(text: string): readonly Kept[] {
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
