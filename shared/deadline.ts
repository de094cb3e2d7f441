/**
 * Does the work with a signal that is aborted when `signal` is, or after `limitMs`. Nothing of it stays behind at `signal`, as
 * it does with AbortSignal.any for as long as that lives.
 */
export async function withDeadline<T>(
  signal: AbortSignal,
  limitMs: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limited = new AbortController()
  const timer = setTimeout(() => limited.abort(), limitMs)
  const leave = follow(signal, limited)
  try {
    return await work(limited.signal)
  } finally {
    clearTimeout(timer)
    leave()
  }
}

/** Work was not done in its time. */
export class LateError extends Error {
  override readonly name = 'LateError'
}

/**
 * The same for work that may not heed its signal: nobody waits for it any longer. The signal is aborted with the error, or with the
 * reason of `signal`.
 * @param what is missing: `no result` makes `no result within 20 s`
 * @throws LateError
 */
export async function withinTime<T>(
  signal: AbortSignal,
  limitMs: number,
  what: string,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limited = new AbortController()
  const leave = follow(signal, limited)
  try {
    return await withTimeLimit(limitMs, what, work(limited.signal))
  } catch (error) {
    if (error instanceof LateError) limited.abort(error)
    throw error
  } finally {
    leave()
  }
}

/**
 * The result of work that takes no signal; what comes too late, good or bad, is dropped.
 * @param what is missing: `no result` makes `no result within 20 s`
 * @throws LateError
 */
export async function withTimeLimit<T>(limitMs: number, what: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new LateError(`${what} within ${limitMs / 1000} s`)), limitMs)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
    work.catch(() => undefined)
  }
}

/** Aborts `limited` when `signal` is. @returns takes that back */
function follow(signal: AbortSignal, limited: AbortController): () => void {
  const stop = (): void => limited.abort(signal.reason)
  signal.addEventListener('abort', stop, { once: true })
  if (signal.aborted) stop()
  return () => signal.removeEventListener('abort', stop)
}
