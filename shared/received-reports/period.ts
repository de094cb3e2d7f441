import type { ReceivedReport } from './model.ts'

const dayMs = 86_400_000

/** The last so many days, today included; days are those of UTC. */
export interface Period {
  /** Epoch ms: a day begins. */
  readonly sinceAt: number
  readonly untilAt: number
}

export const shortestDays = 1
export const longestDays = 400

export function lastDays(days: number, nowAt: number): Period {
  return { sinceAt: (Math.floor(nowAt / dayMs) - days + 1) * dayMs, untilAt: nowAt }
}

/** `2026-11-20`: the days of the period, in order. */
export function daysOf({ sinceAt, untilAt }: Period): readonly string[] {
  const days: string[] = []
  for (let at = sinceAt; at <= untilAt; at += dayMs) days.push(dayOf(at))
  return days
}

/** The day a report is counted for: the middle of its time; what lies about other times is of the first day or the last. */
export function dayOfReport(
  { beginAt, endAt }: { readonly beginAt: number; readonly endAt: number },
  period: Period,
): string {
  return dayOf(Math.min(Math.max((beginAt + endAt) / 2, period.sinceAt), period.untilAt))
}

function dayOf(at: number): string {
  return new Date(at).toISOString().slice(0, 10)
}

/** Its mail failed DMARC: anybody may have written it, and its figures do not count. */
export function isDoubtful({ mail }: Pick<ReceivedReport, 'mail'>): boolean {
  return mail.dmarc === 'fail'
}

/** The largest first; of the same size by name. */
export function byCount<Key>(counts: ReadonlyMap<Key, number>): readonly (readonly [Key, number])[] {
  return [...counts].toSorted(([one, few], [other, many]) => many - few || String(one).localeCompare(String(other)))
}

export function add<Key>(counts: Map<Key, number>, key: Key, count: number): void {
  counts.set(key, (counts.get(key) ?? 0) + count)
}
