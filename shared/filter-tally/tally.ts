import { readFile, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

import type { Clock } from '../clock.ts'
import type { Logger } from '../log.ts'
import { tellingSnapshotWriter } from '../snapshot-writer.ts'

/** How an engine's work on a message ended. `unable`: it works, and cannot judge this one. */
export type AnswerStatus = 'ok' | 'unable' | 'failed' | 'timeout' | 'crashed'

/** Counts what engines, lists, filter processes and policy services answer, and what the filter makes of it. Two numbers in memory for each. */
export interface FilterTally {
  /** @param reason why it is not `ok`, one line */
  answered(
    engine: string,
    answer: { readonly status: AnswerStatus; readonly tookMs: number; readonly reason?: string },
  ): void
  /** @param action `clean`, `junk`, `quarantine` and so on @param findings `spf=pass`, `dkim=fail` */
  judged(action: string, findings: readonly string[]): void
  close(): Promise<void>
}

/** Upper ends of the classes of time, ms; a last one has what took longer. */
export const bucketEndsMs: readonly number[] = [
  1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000,
]

/** What one engine did in an hour. */
export interface EngineCounts {
  readonly statuses: Readonly<Record<string, number>>
  /** By class of time. */
  readonly buckets: readonly number[]
}

export interface HourCounts {
  readonly engines: Readonly<Record<string, EngineCounts>>
  readonly verdicts: Readonly<Record<string, number>>
  readonly findings: Readonly<Record<string, number>>
}

/** When it last answered, and when and why it last did not. */
export interface LastAnswers {
  readonly okAt?: number
  readonly tookMs?: number
  readonly failedAt?: number
  readonly status?: string
  readonly reason?: string
}

/** What one process counted on one day (UTC): by hour, 0 to 23. */
export interface TallyFile {
  readonly hours: Readonly<Record<string, HourCounts>>
  readonly last: Readonly<Record<string, LastAnswers>>
}

export interface TallyOptions {
  readonly dataFolder: string
  /** Prefix of this process's files. */
  readonly writer: string
  readonly clock: Clock
  readonly log: Logger
}

const saveMs = 5_000
const hourMs = 3_600_000
const dayMs = 24 * hourMs
const longestReason = 300
/** Names come from the configuration; of what does not, so many are told apart. */
const mostNames = 200

interface Hour {
  readonly engines: Map<string, { readonly statuses: Map<string, number>; readonly buckets: number[] }>
  readonly verdicts: Map<string, number>
  readonly findings: Map<string, number>
}

/** Of one process: kept in memory and written each 5 s, a file for each day. A crash costs the last seconds. */
export function openFilterTally({ dataFolder, writer, clock, log }: TallyOptions): FilterTally {
  const file = `${writer}-${clock.now().toString(36)}-${process.pid}.json`
  const last = new Map<string, LastAnswers>()
  let hours = new Map<number, Hour>()
  let day = dayOf(clock.now())
  let isChanged = false
  const put = tellingSnapshotWriter('the counts of filters', log)
  let writing = Promise.resolve()
  let current: { readonly endsAt: number; readonly hour: Hour } | undefined
  const timer = setInterval(write, saveMs)
  timer.unref()

  /** The hour that it is now; with another day the one before is written. */
  function hourNow(): Hour {
    const nowAt = clock.now()
    if (current !== undefined && nowAt < current.endsAt) return current.hour
    if (dayOf(nowAt) !== day) {
      write()
      day = dayOf(nowAt)
      hours = new Map()
    }
    const number = Math.floor((nowAt % dayMs) / hourMs)
    const hour = hours.get(number) ?? { engines: new Map(), verdicts: new Map(), findings: new Map() }
    hours.set(number, hour)
    current = { endsAt: (Math.floor(nowAt / hourMs) + 1) * hourMs, hour }
    return hour
  }

  function write(): void {
    if (!isChanged) return
    isChanged = false
    const folder = join(tallyFolder(dataFolder), day)
    const text = JSON.stringify({ hours: plain(hours), last: Object.fromEntries(last) })
    writing = put(join(folder, file), text)
  }

  return {
    answered(engine, { status, tookMs, reason }) {
      const { engines } = hourNow()
      let counts = engines.get(engine)
      if (counts === undefined) {
        if (engines.size >= mostNames) return
        counts = { statuses: new Map(), buckets: Array.from({ length: bucketEndsMs.length + 1 }, () => 0) }
        engines.set(engine, counts)
      }
      add(counts.statuses, status)
      const place = bucketOf(tookMs)
      counts.buckets[place] = (counts.buckets[place] ?? 0) + 1
      const before = last.get(engine)
      const nowAt = clock.now()
      last.set(
        engine,
        status === 'ok' || status === 'unable'
          ? { ...before, okAt: nowAt, tookMs }
          : { ...before, failedAt: nowAt, status, reason: (reason ?? status).slice(0, longestReason) },
      )
      isChanged = true
    },
    judged(action, findings) {
      const hour = hourNow()
      add(hour.verdicts, action)
      for (const finding of findings) add(hour.findings, finding)
      isChanged = true
    },
    async close() {
      clearInterval(timer)
      write()
      await writing
    },
  }
}

/** Files of the processes of this data folder, of the days from then on: `2026-11-21`. Those that cannot be read are left out. */
export async function readTallies(
  dataFolder: string,
  sinceAt: number,
): Promise<readonly { readonly day: string; readonly tally: TallyFile }[]> {
  const days = (await daysOf(dataFolder)).filter((day) => day >= dayOf(sinceAt)).toSorted()
  const all = await Promise.all(days.map((day) => talliesOf(dataFolder, day)))
  return all.flat()
}

/** So far back it is told what came of mail. */
export const tallyKeptMs = 60 * dayMs

/** Removes the days before then, epoch ms. */
export async function expireTallies(dataFolder: string, before: number): Promise<void> {
  const old = (await daysOf(dataFolder)).filter((day) => day < dayOf(before))
  for (const day of old) await rm(join(tallyFolder(dataFolder), day), { recursive: true, force: true })
}

function tallyFolder(dataFolder: string): string {
  return join(dataFolder, 'filter-tally')
}

function dayOf(at: number): string {
  return new Date(at).toISOString().slice(0, 10)
}

async function daysOf(dataFolder: string): Promise<readonly string[]> {
  const names = await readdir(tallyFolder(dataFolder)).catch(() => [])
  return names.filter((name) => /^\d{4}-\d\d-\d\d$/.test(name))
}

async function talliesOf(dataFolder: string, day: string) {
  const folder = join(tallyFolder(dataFolder), day)
  const names = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith('.json'))
  const read = await Promise.all(
    names.map(async (name) => parse(await readFile(join(folder, name), 'utf8').catch(() => ''))),
  )
  return read.flatMap((tally) => (tally === undefined ? [] : [{ day, tally }]))
}

function parse(text: string): TallyFile | undefined {
  try {
    const value = JSON.parse(text) as TallyFile
    return typeof value.hours === 'object' && typeof value.last === 'object' ? value : undefined
  } catch {
    return undefined
  }
}

function bucketOf(tookMs: number): number {
  const place = bucketEndsMs.findIndex((end) => tookMs <= end)
  return place < 0 ? bucketEndsMs.length : place
}

function add(counts: Map<string, number>, name: string): void {
  if (counts.size < mostNames || counts.has(name)) counts.set(name, (counts.get(name) ?? 0) + 1)
}

function plain(hours: ReadonlyMap<number, Hour>): TallyFile['hours'] {
  return Object.fromEntries(
    [...hours].map(([number, { engines, verdicts, findings }]) => [
      String(number),
      {
        engines: Object.fromEntries(
          [...engines].map(([name, { statuses, buckets }]) => [
            name,
            { statuses: Object.fromEntries(statuses), buckets },
          ]),
        ),
        verdicts: Object.fromEntries(verdicts),
        findings: Object.fromEntries(findings),
      },
    ]),
  )
}

/** Readers see whole files. */
