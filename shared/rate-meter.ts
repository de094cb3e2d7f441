/** How often something happened in the last ten minutes, and how long it took. */
export interface RateFigures {
  /** Which slot of `slotMs` since the epoch the last count is of; it is still being filled. */
  readonly slot: number
  /** One for each slot, the oldest first. */
  readonly counts: readonly number[]
  /** How many took as long as a step of `stepOf` allows, by step; steps behind the last are left out. */
  readonly times: readonly number[]
}

export const slotMs = 10_000
export const slotsKept = 60
/** Steps grow by a quarter each, from 1 ms to 17 min: a time is told to within that. */
const growth = 1.25
const steps = 64

interface Slot {
  index: number
  count: number
  readonly times: Uint32Array
}

/** Counts in a ring of slots: a count costs a few additions, and no memory. */
export class RateMeter {
  readonly #now: () => number
  readonly #slots: readonly Slot[] = Array.from({ length: slotsKept }, () => ({
    index: -1,
    count: 0,
    times: new Uint32Array(steps),
  }))

  constructor(now: () => number) {
    this.#now = now
  }

  count(times = 1): void {
    this.#slot().count += times
  }

  /** Counts one that took so long. */
  took(ms: number): void {
    const slot = this.#slot()
    slot.count += 1
    const step = stepOf(ms)
    slot.times[step] = (slot.times[step] ?? 0) + 1
  }

  figures(): RateFigures {
    const slot = this.#index()
    const counts: number[] = []
    const times = Array.from({ length: steps }, () => 0)
    for (let index = slot - slotsKept + 1; index <= slot; index += 1) {
      const one = this.#slots[index % slotsKept]
      const known = one?.index === index
      counts.push(known ? one.count : 0)
      if (known) for (const [step, count] of one.times.entries()) times[step] = (times[step] ?? 0) + count
    }
    return { slot, counts, times: times.slice(0, times.findLastIndex((count) => count > 0) + 1) }
  }

  #index(): number {
    return Math.floor(this.#now() / slotMs)
  }

  #slot(): Slot {
    const index = this.#index()
    const slot = this.#slots[index % slotsKept] as Slot
    if (slot.index === index) return slot
    slot.index = index
    slot.count = 0
    slot.times.fill(0)
    return slot
  }
}

/** Of several meters, aligned by their slots. */
export function mergeFigures(all: readonly RateFigures[], nowAt: number): RateFigures {
  const slot = Math.floor(nowAt / slotMs)
  const counts = Array.from({ length: slotsKept }, (_none, index) => {
    const wanted = slot - slotsKept + 1 + index
    return all.reduce((sum, one) => sum + (one.counts[one.counts.length - 1 - (one.slot - wanted)] ?? 0), 0)
  })
  const most = Math.max(0, ...all.map(({ times }) => times.length))
  const times = Array.from({ length: most }, (_none, step) => all.reduce((sum, one) => sum + (one.times[step] ?? 0), 0))
  return { slot, counts, times }
}

/** In the last minute that is over. */
export function perSecond({ counts }: RateFigures): number {
  const slots = 60_000 / slotMs
  return counts.slice(-slots - 1, -1).reduce((sum, count) => sum + count, 0) / 60
}

/** What 95 of 100 took no longer than, to within a quarter; `undefined`: none was timed. */
export function percentile95({ times }: RateFigures): number | undefined {
  const all = times.reduce((sum, count) => sum + count, 0)
  if (all === 0) return undefined
  let seen = 0
  const step = times.findIndex((count) => (seen += count) >= all * 0.95)
  return growth ** step
}

function stepOf(ms: number): number {
  return ms <= 1 ? 0 : Math.min(steps - 1, Math.ceil(Math.log(ms) / Math.log(growth)))
}
