/** Ten parked jobs a second look whether the news of their turn was lost: a hundred thousand cost next to nothing. */
const perJobMs = 100
const shortestMs = 2_000
const longestMs = 3 * 3_600_000

/**
 * What a job that is parked waits beyond the time at which it may go by itself, when `parked` others do: it is brought back by the end of
 * another's work. The first in line comes in time.
 */
export function spreadMs(parked: number): number {
  if (parked === 0) return 0
  return Math.ceil(Math.random() * Math.min(Math.max(shortestMs, parked * perJobMs), longestMs))
}
