import { copyStates } from './copy-state.ts'
import type { CopyState } from './copy-state.ts'
import { firstKeyOf, keysPerHour, timeOf } from './message-key.ts'
import type { Rows } from './sql.ts'

/** What came in an hour, of UTC, and what became of it until now. */
export interface HourCounts {
  /** When it began, epoch ms. */
  readonly at: number
  /** Recipients by the state of their copies; those that are absent have none. */
  readonly copies: Readonly<Partial<Record<CopyState, number>>>
}

export const hourMs = 3_600_000

/** In order; hours without mail are absent. What is refused in the session counts, too; the time goes back to the begin of its hour. */
export async function hoursOf(rows: Rows, sinceAt: number): Promise<readonly HourCounts[]> {
  const found = (await rows(
    `SELECT message / ${keysPerHour} AS hour, state, count(*) FROM copies
     WHERE message >= ? GROUP BY hour, state ORDER BY hour`,
    firstKeyOf(sinceAt - (sinceAt % hourMs)),
  )) as readonly [number, number, number][]
  const hours = new Map<number, Partial<Record<CopyState, number>>>()
  for (const [hour, state, copies] of found) {
    const counts = hours.get(hour) ?? {}
    const name = copyStates[state]
    if (name !== undefined) counts[name] = copies
    hours.set(hour, counts)
  }
  return [...hours].map(([hour, copies]) => ({ at: timeOf(hour * keysPerHour), copies }))
}
