import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'

import { destinationsFolder, hourMs, keptHours } from './known.ts'
import type { DestinationHistory, DestinationHour, Refusal } from './known.ts'

/** What all relay processes of this data folder noted in the last 24 hours, by name. */
export async function readDestinationBook(
  dataFolder: string,
  nowAt: number,
): Promise<ReadonlyMap<string, DestinationHistory>> {
  const folder = destinationsFolder(dataFolder)
  const names = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith('.json'))
  const books = await Promise.all(
    names.map(async (name) => parse(await readFile(join(folder, name), 'utf8').catch(() => ''))),
  )
  const since = nowAt - keptHours * hourMs
  const found = new Map<string, DestinationHistory>()
  for (const history of books.flat()) {
    if (history.lastAt <= since) continue
    const known = found.get(history.name)
    found.set(history.name, withinDay(known === undefined ? history : merge(known, history), since))
  }
  return found
}

/** Sums over the hours. */
export function totalOf({ hours }: Pick<DestinationHistory, 'hours'>): Omit<DestinationHour, 'at'> {
  const sum = (pick: (hour: DestinationHour) => number): number => hours.reduce((all, hour) => all + pick(hour), 0)
  return { sent: sum(({ sent }) => sent), later: sum(({ later }) => later), refused: sum(({ refused }) => refused) }
}

/** Counts add up; of what was seen the latest holds. */
function merge(one: DestinationHistory, other: DestinationHistory): DestinationHistory {
  const tls = latest(one.tls, other.tls)
  const policy = latest(one.policy, other.policy)
  return {
    name: one.name,
    hours: mergeHours([...one.hours, ...other.hours]),
    refusals: mergeRefusals([...one.refusals, ...other.refusals]),
    ...(tls === undefined ? {} : { tls }),
    ...(policy === undefined ? {} : { policy }),
    lastAt: Math.max(one.lastAt, other.lastAt),
  }
}

function mergeHours(hours: readonly DestinationHour[]): readonly DestinationHour[] {
  const byTime = new Map<number, DestinationHour>()
  for (const hour of hours) {
    const { sent, later, refused } = byTime.get(hour.at) ?? { sent: 0, later: 0, refused: 0 }
    const sums = { sent: sent + hour.sent, later: later + hour.later, refused: refused + hour.refused }
    byTime.set(hour.at, { at: hour.at, ...sums })
  }
  return [...byTime.values()].toSorted((one, other) => one.at - other.at)
}

function mergeRefusals(refusals: readonly Refusal[]): readonly Refusal[] {
  const byClass = new Map<Refusal['replyClass'], Refusal>()
  for (const refusal of refusals) {
    const known = byClass.get(refusal.replyClass)
    const newer = latest(known, refusal) ?? refusal
    byClass.set(refusal.replyClass, { ...newer, times: refusal.times + (known?.times ?? 0) })
  }
  return [...byClass.values()]
}

function withinDay(history: DestinationHistory, since: number): DestinationHistory {
  return {
    ...history,
    hours: history.hours.filter(({ at }) => at > since - hourMs),
    refusals: history.refusals
      .filter(({ at }) => at > since)
      .toSorted((one, other) => other.times - one.times || other.at - one.at),
  }
}

function latest<T extends { readonly at: number }>(one: T | undefined, other: T | undefined): T | undefined {
  if (one === undefined || other === undefined) return one ?? other
  return other.at > one.at ? other : one
}

/** A file of another version, or torn: nobody misses a day of it. */
function parse(text: string): readonly DestinationHistory[] {
  try {
    const found: unknown = JSON.parse(text)
    return Array.isArray(found) ? (found as readonly DestinationHistory[]) : []
  } catch {
    return []
  }
}
