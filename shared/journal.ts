import { createReadStream } from 'node:fs'
import { mkdir, readdir, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'

import { tellingLineWriter } from './line-writer.ts'
import type { Logger } from './log.ts'
import { acceptedAtOf } from './mail/message-id.ts'
import type { MessageId } from './mail/message-id.ts'

/** One entry of a message's story. */
export interface JournalEntry {
  /** Epoch ms. */
  readonly at: number
  readonly event: string
  readonly id?: string
  readonly [field: string]: unknown
}

/**
 * The story of every message, outside Redis and apart from the spool's truth: lines of JSON in files of one writer each,
 * `<folder>/<writer>-<start>-<n>.ndjson`. Written in batches and without fsync: a power loss may take the last lines of a
 * story, never mail.
 */
export interface Journal {
  append(entry: JournalEntry): void
  /** Resolves when all lines so far are with the operating system. */
  flush(): Promise<void>
  close(): Promise<void>
}

const flushAfterMs = 100
const fileLimitBytes = 32 * 1024 * 1024

/** @param log is told once when lines cannot be written: the stories then have a gap; and when they can again */
export async function openJournal(
  folder: string,
  writer: string,
  startedAt: number,
  log: Pick<Logger, 'warn' | 'info'>,
): Promise<Journal> {
  await mkdir(folder, { recursive: true })
  const writeLines = tellingLineWriter('the journal', log)
  const stem = `${writer}-${startedAt.toString(36)}-${process.pid}`
  let sequence = 0
  let sizeBytes = 0
  let lines: string[] = []
  let timer: NodeJS.Timeout | undefined
  let writing: Promise<void> = Promise.resolve()

  function flush(): Promise<void> {
    clearTimeout(timer)
    timer = undefined
    if (lines.length === 0) return writing
    const batch = lines
    lines = []
    writing = writing.then(() => write(batch))
    return writing
  }

  async function write(batch: readonly string[]): Promise<void> {
    if (sizeBytes > fileLimitBytes) {
      sequence += 1
      sizeBytes = 0
    }
    for (const line of batch) sizeBytes += line.length
    await writeLines(join(folder, `${stem}-${sequence}.ndjson`), batch)
  }

  return {
    append(entry) {
      lines.push(`${JSON.stringify(entry)}\n`)
      if (timer === undefined) {
        timer = setTimeout(() => void flush(), flushAfterMs)
        timer.unref()
      }
    },
    flush,
    close: flush,
  }
}

/** All entries about a message, by time. Reads the files that were written to after the message was accepted. */
export async function storyOf(folder: string, id: MessageId): Promise<readonly JournalEntry[]> {
  const entries: JournalEntry[] = []
  for (const path of await filesSince(folder, acceptedAtOf(id))) {
    for await (const line of linesWith(path, id)) {
      const entry = parseEntry(line)
      if (entry !== undefined && isAbout(entry, id)) entries.push(entry)
    }
  }
  return entries.toSorted((one, other) => one.at - other.at)
}

export function isJournalFile(name: string): boolean {
  return name.endsWith('.ndjson')
}

/** An entry, or nothing for what is none: the line may be torn. */
export function parseEntry(line: string): JournalEntry | undefined {
  try {
    const entry = JSON.parse(line) as Partial<JournalEntry> | null
    return typeof entry?.at === 'number' && typeof entry.event === 'string' ? (entry as JournalEntry) : undefined
  } catch {
    return undefined
  }
}

/** As others may see it: without the header fields that a replay needs, which may quote a subject. */
export function withoutArrival(entry: JournalEntry): JournalEntry {
  if (entry['arrival'] === undefined) return entry
  const { arrival: _, ...others } = entry
  return others
}

/** It is told in the story of that message, too. */
export function isAbout(entry: JournalEntry, id: MessageId): boolean {
  return entry.id === id || entry['dsn'] === id || entry['about'] === id
}

/** Deletes files nobody wrote to since `before` (epoch ms). */
export async function trimJournal(folder: string, before: number): Promise<number> {
  let removed = 0
  for (const name of await readdir(folder).catch(() => [])) {
    if (!isJournalFile(name)) continue
    const path = join(folder, name)
    const found = await stat(path).catch(() => undefined)
    if (found === undefined || found.mtimeMs >= before) continue
    await unlink(path).catch(() => undefined)
    removed += 1
  }
  return removed
}

async function filesSince(folder: string, since: number): Promise<readonly string[]> {
  const names = await readdir(folder).catch(() => [])
  const files = await Promise.all(
    names.filter(isJournalFile).map(async (name) => {
      const path = join(folder, name)
      const found = await stat(path).catch(() => undefined)
      return { path, modifiedAt: found?.mtimeMs ?? 0 }
    }),
  )
  return files.filter((file) => file.modifiedAt >= since - 1000).map((file) => file.path)
}

async function* linesWith(path: string, needle: string): AsyncGenerator<string> {
  let rest = ''
  try {
    for await (const chunk of createReadStream(path, { encoding: 'utf8', highWaterMark: 1024 * 1024 })) {
      const text = rest + (chunk as string)
      const end = text.lastIndexOf('\n')
      rest = text.slice(end + 1)
      if (end < 0) continue
      let from = text.indexOf(needle)
      while (from >= 0 && from < end) {
        const start = text.lastIndexOf('\n', from) + 1
        const stop = text.indexOf('\n', from)
        yield text.slice(start, stop)
        from = text.indexOf(needle, stop)
      }
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}
