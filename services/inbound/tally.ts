import type { Tallies } from '../../shared/queue/queues.ts'
import { oneAtATime } from './one-at-a-time.ts'

export interface TallyOptions {
  /** Epoch ms, the same for all processes. */
  readonly now: () => number
  /** What the other processes count; absent: nothing is shared. */
  readonly shared?: Pick<Tallies, 'merge'>
  /** Beyond it the one that was not counted longest is forgotten. */
  readonly mostKeys?: number
}

interface Count {
  readonly key: string
  readonly periodMs: number
  /** Of the clock, cut into periods. */
  period: number
  current: number
  previous: number
  /** Of `current`, not told the others yet. */
  untold: number
  /** The others have not been asked about it yet. */
  fresh: boolean
}

/**
 * Counts by key over a time that slides along: all of this period, and of the one before the part that still lies within. Answers
 * at once by what this process knows, and hears of the others at each `exchange`; while Redis is away it goes on by itself.
 */
export class Tally {
  readonly #options: TallyOptions
  readonly #counts = new Map<string, Count>()
  readonly #touched = new Set<Count>()

  constructor(options: TallyOptions) {
    this.#options = options
  }

  /** How much it is in the last `periodMs`, `amount` included. */
  add(key: string, periodMs: number, amount = 1): number {
    const count = this.#countOf(key, periodMs)
    count.current += amount
    count.untold += amount
    this.#touched.add(count)
    return this.#sum(count)
  }

  /** How much it was in the last `periodMs`. */
  of(key: string, periodMs: number): number {
    const count = this.#counts.get(key)
    if (count === undefined) return 0
    this.#turn(count, periodMs)
    return this.#sum(count)
  }

  /** Tells the others what was counted here since the last time, and learns what they counted. Never rejects. */
  readonly exchange = oneAtATime(() => this.#exchange())

  async #exchange(): Promise<void> {
    const { shared } = this.#options
    const counts = [...this.#touched]
    if (shared === undefined || counts.length === 0) return
    const told = counts.map((count) => ({ count, period: count.period, amount: count.untold, fresh: count.fresh }))
    const additions = told.flatMap(({ count: { key, periodMs }, period, amount, fresh }) => [
      { key: `${key}:${period}`, amount, keepMs: 2 * periodMs },
      ...(fresh ? [{ key: `${key}:${period - 1}`, amount: 0, keepMs: periodMs }] : []),
    ])
    try {
      const totals = [...(await shared.merge(additions))]
      for (const { count, period, amount, fresh } of told) {
        const total = totals.shift() ?? 0
        const before = fresh ? (totals.shift() ?? 0) : undefined
        this.#learn(count, { period, amount, total, before })
      }
    } catch {
      // Redis is away, which has its own line in the log: this process counts by itself.
    }
  }

  #learn(count: Count, { period, amount, total, before }: Learned): void {
    // Meanwhile its period was over: what was told belongs to the one before.
    if (count.period !== period) return
    count.untold -= amount
    count.current = Math.max(total, 0) + count.untold
    count.previous = Math.max(count.previous, before ?? 0)
    count.fresh = false
    if (count.untold === 0) this.#touched.delete(count)
  }

  #countOf(key: string, periodMs: number): Count {
    const known = this.#counts.get(key)
    if (known !== undefined) {
      this.#turn(known, periodMs)
      this.#counts.delete(key)
      this.#counts.set(key, known)
      return known
    }
    const period = Math.floor(this.#options.now() / periodMs)
    const count: Count = { key, periodMs, period, current: 0, previous: 0, untold: 0, fresh: true }
    this.#counts.set(key, count)
    this.#forgetOldest()
    return count
  }

  /** Into the period of now. */
  #turn(count: Count, periodMs: number): void {
    const period = Math.floor(this.#options.now() / periodMs)
    if (period === count.period) return
    count.previous = period === count.period + 1 ? count.current : 0
    count.current = 0
    count.untold = 0
    count.period = period
    this.#touched.delete(count)
  }

  #sum({ current, previous, periodMs }: Count): number {
    const leftOfPrevious = 1 - (this.#options.now() % periodMs) / periodMs
    return current + previous * leftOfPrevious
  }

  #forgetOldest(): void {
    const { mostKeys = 100_000 } = this.#options
    if (this.#counts.size <= mostKeys) return
    for (const [key, count] of this.#counts) {
      this.#counts.delete(key)
      this.#touched.delete(count)
      return
    }
  }
}

interface Learned {
  readonly period: number
  readonly amount: number
  readonly total: number
  readonly before: number | undefined
}
