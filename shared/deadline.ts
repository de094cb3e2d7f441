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
