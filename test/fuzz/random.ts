/** Random numbers that a seed repeats. */
export interface Random {
  /** An integer from 0 up to, and without, `limit`. */
  below(limit: number): number
  pick<T>(all: readonly T[]): T
}

/** mulberry32. */
export function createRandom(seed: number): Random {
  let state = Math.imul(seed ^ 0x9e37_79b9, 0x85eb_ca6b) | 0
  function below(limit: number): number {
    state = (state + 0x6d2b_79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit)
  }
  return {
    below,
    pick(all) {
      return all[below(all.length)] as (typeof all)[number]
    },
  }
}
