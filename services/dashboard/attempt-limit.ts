/** Counts attempts by a key within a period; beyond the limit they are not even looked at. */
export class AttemptLimit {
  readonly #now: () => number
  readonly #limit: number
  readonly #periodMs: number
  readonly #counts = new Map<string, { count: number; readonly until: number }>()

  constructor(now: () => number, limit: number, periodMs: number) {
    this.#now = now
    this.#limit = limit
    this.#periodMs = periodMs
  }

  /** Counts one, before it is known how it ends: many at once are many. @returns how long to wait, 0 when it may go on */
  take(key: string): number {
    const now = this.#now()
    const known = this.#counts.get(key)
    if (known === undefined || known.until <= now) {
      this.#counts.delete(key)
      this.#counts.set(key, { count: 1, until: now + this.#periodMs })
      this.#forgetExpired(now)
      return 0
    }
    if (known.count >= this.#limit) return known.until - now
    known.count += 1
    return 0
  }

  /** It ended well: this one and those before it count no more. */
  forget(key: string): void {
    this.#counts.delete(key)
  }

  #forgetExpired(now: number): void {
    for (const [key, { until }] of this.#counts) {
      if (until > now && this.#counts.size <= 100_000) return
      this.#counts.delete(key)
    }
  }
}
