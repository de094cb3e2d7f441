import { mkdir, readdir, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'

import type { Clock } from './clock.ts'
import type { JournalEntry } from './journal.ts'
import { networkOf } from './client-of.ts'
import { tellingLineWriter } from './line-writer.ts'
import type { Logger } from './log.ts'

/**
 * What happens in sessions before there is a message: refusals, failed logins, limits, TLS that fails. For people who look on, and for a few
 * days; nothing depends on it. However many there are, a process writes some hundred lines a minute and keeps some megabytes: of what comes again
 * from a network the first are written, of the others their number.
 */
export interface SessionLog {
  append(entry: JournalEntry): void
  /** Resolves when all lines so far are with the operating system. */
  flush(): Promise<void>
  close(): Promise<void>
}

export interface SessionLogOptions {
  readonly folder: string
  /** Begins the names of the files of this process. */
  readonly writer: string
  readonly clock: Clock
  /** Is told once when lines cannot be written, and when they can again. */
  readonly log: Pick<Logger, 'warn' | 'info'>
  /** Of each of two files, that are written by turns. */
  readonly fileBytes?: number
}

const flushAfterMs = 100
const windowMs = 60_000
/** Of the same kind, from the same network, in a window. */
const mostSame = 5
/** Of all kinds, in a window. */
const mostLines = 300
/** Kinds that are counted one by one. */
const mostKinds = 1_000
const fileBytesAtMost = 4 * 1024 * 1024
const keptMs = 7 * 86_400_000
/** Of processes that are gone too. */
const mostFiles = 32

export function sessionLogFolder(dataFolder: string): string {
  return join(dataFolder, 'sessions')
}

export async function openSessionLog(options: SessionLogOptions): Promise<SessionLog> {
  const { folder, writer, clock, log, fileBytes = fileBytesAtMost } = options
  await mkdir(folder, { recursive: true, mode: 0o750 })
  await removeOld(folder, clock.now())
  const files = [0, 1].map((number) => join(folder, `${writer}-${process.pid}-${number}.ndjson`))
  const writeLines = tellingLineWriter('what happens in sessions', log)
  const counts = new Map<string, Counted>()
  let [turn, sizeBytes, written] = [0, 0, 0]
  let lines: string[] = []
  let timer: NodeJS.Timeout | undefined
  let window: NodeJS.Timeout | undefined
  let writing: Promise<void> = Promise.resolve()

  function put(entry: JournalEntry): void {
    lines.push(`${JSON.stringify(entry)}\n`)
    timer ??= setTimeout(() => void flush(), flushAfterMs).unref()
  }

  function flush(): Promise<void> {
    clearTimeout(timer)
    timer = undefined
    const batch = lines
    lines = []
    if (batch.length > 0) writing = writing.then(() => write(batch))
    return writing
  }

  async function write(batch: readonly string[]): Promise<void> {
    const isTurning = sizeBytes > fileBytes
    if (isTurning) {
      turn = 1 - turn
      sizeBytes = 0
    }
    for (const line of batch) sizeBytes += line.length
    await writeLines(files[turn] ?? '', batch, isTurning)
  }

  function endWindow(): void {
    clearTimeout(window)
    window = undefined
    for (const { last, more } of counts.values()) if (more > 0) put({ ...last, at: clock.now(), more })
    counts.clear()
    written = 0
  }

  return {
    append(entry) {
      window ??= setTimeout(endWindow, windowMs).unref()
      const counted = countedOf(counts, entry)
      if (counted.shown < mostSame && written < mostLines) {
        counted.shown += 1
        written += 1
        put(entry)
        return
      }
      counted.more += 1
      counted.last = summaryOf(entry)
    },
    flush,
    async close() {
      endWindow()
      await flush()
    },
  }
}

interface Counted {
  shown: number
  /** Not written. */
  more: number
  last: JournalEntry
}

function countedOf(counts: Map<string, Counted>, entry: JournalEntry): Counted {
  const { event, stage, offence, address } = entry
  const place = typeof address === 'string' ? networkOf(address) : ''
  const name = `${event} ${textOf(stage)} ${textOf(offence)} ${place}`
  const key = counts.has(name) || counts.size < mostKinds ? name : event
  const counted = counts.get(key) ?? { shown: 0, more: 0, last: entry }
  counts.set(key, counted)
  return counted
}

function networkText(address: string): string {
  const network = networkOf(address)
  if (network === address) return address
  return network.includes(':') ? `${network}::/48` : `${network}.0/24`
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

/** Of one network, without what is of one session alone. */
function summaryOf(one: JournalEntry): JournalEntry {
  const { session: _, ...entry } = one
  const { address } = entry
  return typeof address === 'string' ? { ...entry, address: networkText(address) } : entry
}

async function removeOld(folder: string, nowAt: number): Promise<void> {
  const names = await readdir(folder).catch(() => [])
  const files = await Promise.all(
    names.map(async (name) => {
      const path = join(folder, name)
      return { path, writtenAt: (await stat(path).catch(() => undefined))?.mtimeMs ?? 0 }
    }),
  )
  const youngestFirst = files.toSorted((one, other) => other.writtenAt - one.writtenAt)
  const old = youngestFirst.filter(({ writtenAt }, index) => nowAt - writtenAt > keptMs || index >= mostFiles)
  await Promise.all(old.map(({ path }) => unlink(path).catch(() => undefined)))
}
