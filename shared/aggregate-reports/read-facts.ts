import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'

import { codeOf } from '../file-lock.ts'
import { factsFolder, parseDay } from './facts.ts'
import type { Counted, Day, DmarcFact, Fact, ReportKind, TlsFact } from './facts.ts'

/** By domain, equal facts counted. */
export type FactsByDomain<One extends Fact> = ReadonlyMap<string, readonly Counted<One>[]>

/** What a day may hold in memory; what is beyond it is counted, not reported. */
const mostRows = 250_000

export interface DayOfFacts<One extends Fact> {
  readonly byDomain: FactsByDomain<One>
  /** Facts that found no room. */
  readonly leftOut: number
}

/** Days of which there are facts, the oldest first. */
export async function factDays(dataFolder: string, kind: ReportKind): Promise<readonly Day[]> {
  const names = await readdir(factsFolder(dataFolder, kind)).catch(absentIsEmpty)
  return names.flatMap((name) => parseDay(name) ?? []).toSorted()
}

export function readDmarcFacts(dataFolder: string, day: Day): Promise<DayOfFacts<DmarcFact>> {
  return readFacts<DmarcFact>(join(factsFolder(dataFolder, 'dmarc'), day))
}

export function readTlsFacts(dataFolder: string, day: Day): Promise<DayOfFacts<TlsFact>> {
  return readFacts<TlsFact>(join(factsFolder(dataFolder, 'tls'), day))
}

/** Adds up the lines of all processes of a day. A line that a crash has cut is passed over. */
async function readFacts<One extends Fact>(folder: string): Promise<DayOfFacts<One>> {
  const counts = new Map<string, { readonly fact: One; count: number }>()
  let leftOut = 0
  for (const name of await readdir(folder).catch(absentIsEmpty)) {
    if (!name.endsWith('.jsonl')) continue
    const file = await open(join(folder, name))
    for await (const line of file.readLines()) {
      const read = parseLine<One>(line)
      if (read === undefined) continue
      const key = JSON.stringify(read.fact)
      const known = counts.get(key)
      if (known !== undefined) known.count += read.count
      else if (counts.size < mostRows) counts.set(key, { ...read })
      else leftOut += read.count
    }
  }
  return { byDomain: byDomain([...counts.values()]), leftOut }
}

function byDomain<One extends Fact>(rows: readonly Counted<One>[]): FactsByDomain<One> {
  const found = new Map<string, Counted<One>[]>()
  for (const row of rows) {
    const known = found.get(row.fact.domain)
    if (known === undefined) found.set(row.fact.domain, [row])
    else known.push(row)
  }
  return found
}

/** We wrote it: what is whole is as we wrote it. */
function parseLine<One extends Fact>(line: string): Counted<One> | undefined {
  try {
    const { count, fact } = JSON.parse(line) as Partial<Counted<One>>
    return typeof count === 'number' && typeof fact?.domain === 'string' ? { count, fact } : undefined
  } catch {
    return undefined
  }
}

function absentIsEmpty(error: unknown): readonly string[] {
  if (codeOf(error) === 'ENOENT') return []
  throw error
}
