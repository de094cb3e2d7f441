import type { Clock } from '../../shared/clock.ts'

const rememberedMs = 60_000
const maxEntries = 10_000

/** Hosts that could not be reached a moment ago: tried last, so that a dead MX costs its time-out once and not per message. */
export class UnreachableHosts {
  readonly #clock: Clock
  readonly #until = new Map<string, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  remember(key: string): void {
    if (this.#until.size >= maxEntries) this.#until.clear()
    this.#until.set(key, this.#clock.now() + rememberedMs)
  }

  forget(key: string): void {
    this.#until.delete(key)
  }

  /** The same entries, those known to be unreachable last. */
  last<T extends { readonly key: string }>(hops: readonly T[]): readonly T[] {
    if (this.#until.size === 0) return hops
    const nowAt = this.#clock.now()
    const isDown = (hop: T): boolean => (this.#until.get(hop.key) ?? 0) > nowAt
    return [...hops.filter((hop) => !isDown(hop)), ...hops.filter((hop) => isDown(hop))]
  }
}
