import type { Clock } from '../../shared/clock.ts'
import { parseQuery } from '../../shared/store/query.ts'
import type { ChoiceQuestion } from '../../shared/store/store-reader.ts'

/** How many messages a search finds, as it was lately. */
export interface SearchCount {
  readonly count: number
  /** There are more. */
  readonly isCut: boolean
}

export interface SearchCounts {
  /** Of searches that a page shows; those that are not counted yet are left out. */
  of(queries: readonly string[]): Promise<ReadonlyMap<string, SearchCount>>
}

const countAgainMs = 30_000
/** One that cannot be counted, or takes too long. */
const tryAgainMs = 300_000
/** No page waits longer for them. */
const patienceMs = 150
const mostCounted = 10_000
const mostKept = 1_000

/** Counts only what is asked for, one after the other, each at most every half a minute. */
export function createSearchCounts(
  count: (question: ChoiceQuestion) => Promise<number>,
  clock: Clock,
  waitMs = patienceMs,
): SearchCounts {
  const known = new Map<string, { readonly until: number; readonly value?: SearchCount }>()
  const wanted = new Set<string>()
  let working: Promise<void> = Promise.resolve()

  async function countOne(query: string): Promise<void> {
    const at = clock.now()
    try {
      const found = await count({ query: parseQuery(query, at), most: mostCounted + 1 })
      const value = { count: Math.min(found, mostCounted), isCut: found > mostCounted }
      known.set(query, { until: at + countAgainMs, value })
    } catch {
      // The search itself tells why.
      known.set(query, { until: at + tryAgainMs })
    }
    wanted.delete(query)
  }

  return {
    async of(queries) {
      if (known.size > mostKept) known.clear()
      for (const query of queries) {
        if (wanted.has(query) || (known.get(query)?.until ?? 0) > clock.now()) continue
        wanted.add(query)
        working = working.then(() => countOne(query))
      }
      const patience = new AbortController()
      const over = new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, waitMs)
        patience.signal.addEventListener('abort', () => clearTimeout(timer))
      })
      await Promise.race([working, over])
      patience.abort()
      return new Map(
        queries.flatMap((query) => {
          const value = known.get(query)?.value
          return value === undefined ? [] : [[query, value]]
        }),
      )
    },
  }
}
