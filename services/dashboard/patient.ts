import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Asks for what may take long, for pages that are drawn every two seconds: what was answered before when this answer is not there in time;
 * undefined when nothing was yet. What `ask` rejects with in time is thrown.
 */
export function patient<T>(ask: () => Promise<T>, patienceMs: number): () => Promise<T | undefined> {
  let last: T | undefined
  return async () => {
    const over = new AbortController()
    const answer = ask().then((known) => (last = known))
    try {
      const waited = sleep(patienceMs, undefined, { signal: over.signal }).catch(() => undefined)
      return (await Promise.race([answer, waited])) ?? last
    } finally {
      over.abort()
      answer.catch(() => undefined)
    }
  }
}
