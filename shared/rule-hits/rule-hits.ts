import { createHash } from 'node:crypto'
import { readFile, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

import type { Clock } from '../clock.ts'
import type { Configuration } from '../config/model.ts'
import type { Logger } from '../log.ts'
import { tellingSnapshotWriter } from '../snapshot-writer.ts'

/** Counts how often each rule and each `restrict` decided, by its text: a line that moves keeps its number. */
export interface RuleHits {
  /** @param text of the statement */
  count(text: string, times?: number): void
  /** These are in force: counting of those that are new begins now. For one process alone. */
  follow(configuration: Pick<Configuration, 'rules' | 'pipeline'>): void
  close(): Promise<void>
}

/** How often, and when last (epoch ms; 0: never), by the hash of the statement. */
type Counts = Record<string, readonly [times: number, lastAt: number]>

export interface HitsOptions {
  readonly dataFolder: string
  /** Prefix of this process's files. */
  readonly writer: string
  readonly clock: Clock
  readonly log: Logger
}

const saveMs = 5_000

/** Of one process: kept in memory and written each 5 s, a file for each day. A crash costs the last seconds. */
export function openRuleHits({ dataFolder, writer, clock, log }: HitsOptions): RuleHits {
  const file = `${writer}-${clock.now().toString(36)}-${process.pid}.json`
  const keys = new Map<string, string>()
  let known: readonly string[] = []
  let day = dayOf(clock.now())
  let dayEndsAt = endOf(day)
  let counts: Counts = {}
  let isChanged = false
  const put = tellingSnapshotWriter('the hits of rules', log)
  let writing = Promise.resolve()
  const timer = setInterval(save, saveMs)
  timer.unref()

  function countAt(text: string, times: number): void {
    turn()
    const key = keyOf(text)
    const [before, lastAt] = counts[key] ?? [0, 0]
    counts[key] = [before + times, times > 0 ? clock.now() : lastAt]
    isChanged = true
  }

  function keyOf(text: string): string {
    const found = keys.get(text)
    if (found !== undefined) return found
    const key = statementKey(text)
    keys.set(text, key)
    return key
  }

  /** Another day begins with what is in force. */
  function turn(): void {
    const nowAt = clock.now()
    if (nowAt < dayEndsAt) return
    write()
    day = dayOf(nowAt)
    dayEndsAt = endOf(day)
    keys.clear()
    counts = Object.fromEntries(known.map((text) => [keyOf(text), [0, 0] as const]))
    isChanged = known.length > 0
  }

  function save(): void {
    turn()
    write()
  }

  function write(): void {
    if (!isChanged) return
    isChanged = false
    const folder = join(hitsFolder(dataFolder), day)
    const text = JSON.stringify(counts)
    writing = put(join(folder, file), text)
  }

  return {
    count: (text, times = 1) => countAt(text, times),
    follow({ rules, pipeline }) {
      const texts = [...rules, ...pipeline.restrictions].map(({ text }) => text)
      keys.clear()
      for (const text of texts) if (!known.includes(text)) countAt(text, 0)
      known = texts
    },
    async close() {
      clearInterval(timer)
      save()
      await writing
    },
  }
}

/** What is known of one statement. */
export interface StatementHits {
  /** Today and in the last 7 days, in UTC. */
  readonly today: number
  readonly week: number
  /** Epoch ms; absent: not since then. */
  readonly lastAt?: number
  /** The first day it was counted, of those that are kept: `2026-11-21`; absent: it is not counted yet. */
  readonly since?: string
}

/** By the processes of this data folder, in the order of the texts. */
export async function readRuleHits(
  dataFolder: string,
  texts: readonly string[],
  nowAt: number,
): Promise<readonly StatementHits[]> {
  const wanted = new Map<string, { today: number; week: number; lastAt: number; since?: string }>(
    texts.map((text) => [statementKey(text), { today: 0, week: 0, lastAt: 0 }]),
  )
  const today = dayOf(nowAt)
  const week = dayOf(nowAt - 6 * dayMs)
  for (const day of (await daysOf(dataFolder)).toSorted()) {
    for (const counts of await countsOf(join(hitsFolder(dataFolder), day))) {
      for (const [key, [times, lastAt]] of Object.entries(counts)) {
        const found = wanted.get(key)
        if (found === undefined) continue
        found.since ??= day
        found.lastAt = Math.max(found.lastAt, lastAt)
        if (day === today) found.today += times
        if (day >= week) found.week += times
      }
    }
  }
  return texts.map((text) => {
    const { lastAt = 0, ...rest } = wanted.get(statementKey(text)) ?? { today: 0, week: 0 }
    return { ...rest, ...(lastAt === 0 ? {} : { lastAt }) }
  })
}

const dayMs = 86_400_000
/** So far back it is told when a rule was hit last. */
export const hitsKeptMs = 60 * dayMs

/** Removes the days before then, epoch ms. */
export async function expireRuleHits(dataFolder: string, before: number): Promise<void> {
  const old = (await daysOf(dataFolder)).filter((day) => day < dayOf(before))
  for (const day of old) await rm(join(hitsFolder(dataFolder), day), { recursive: true, force: true })
}

function hitsFolder(dataFolder: string): string {
  return join(dataFolder, 'rule-hits')
}

/** Epoch ms. */
function endOf(day: string): number {
  return Date.parse(day) + dayMs
}

function dayOf(at: number): string {
  return new Date(at).toISOString().slice(0, 10)
}

function statementKey(text: string): string {
  return createHash('sha256').update(text.replaceAll(/\s+/g, ' ').trim()).digest('hex').slice(0, 16)
}

async function daysOf(dataFolder: string): Promise<readonly string[]> {
  const names = await readdir(hitsFolder(dataFolder)).catch(() => [])
  return names.filter((name) => /^\d{4}-\d\d-\d\d$/.test(name))
}

async function countsOf(folder: string): Promise<readonly Counts[]> {
  const names = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith('.json'))
  return Promise.all(names.map(async (name) => parse(await readFile(join(folder, name), 'utf8').catch(() => ''))))
}

function parse(text: string): Counts {
  try {
    return JSON.parse(text) as Counts
  } catch {
    return {}
  }
}

/** Readers see whole files. */
