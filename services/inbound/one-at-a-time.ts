/**
 * Runs work that never rejects, once at a time. A call while it runs waits for a run that begins after it, which all such calls
 * share: what was there at the call has been seen when it resolves.
 */
export function oneAtATime(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined
  let next: Promise<void> | undefined

  function start(): Promise<void> {
    running = work().finally(() => {
      running = undefined
    })
    return running
  }

  return () => {
    if (next !== undefined) return next
    if (running === undefined) return start()
    next = running.then(() => {
      next = undefined
      return start()
    })
    return next
  }
}
