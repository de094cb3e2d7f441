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
  const stop = (): void => limited.abort()
  const timer = setTimeout(stop, limitMs)
  signal.addEventListener('abort', stop, { once: true })
  if (signal.aborted) stop()
  try {
    return await work(limited.signal)
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', stop)
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
  const stop = (): void => limited.abort(signal.reason)
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      const error = new LateError(`${what} within ${limitMs / 1000} s`)
      reject(error)
      limited.abort(error)
    }, limitMs)
  })
  signal.addEventListener('abort', stop, { once: true })
  if (signal.aborted) stop()
  try {
    return await Promise.race([work(limited.signal), late])
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', stop)
  }
}
