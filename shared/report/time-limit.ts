/** The time was over before there was an answer. */
export class TimeLimitError extends Error {
  override readonly name = 'TimeLimitError'
}

/** The result of `work`, or a TimeLimitError after `limitMs`; what comes later, good or bad, is dropped. */
export async function withTimeLimit<T>(limitMs: number, what: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new TimeLimitError(`${what} did not answer within ${limitMs} ms`)), limitMs)
  })
  try {
    return await Promise.race([work, limit])
  } finally {
    clearTimeout(timer)
    work.catch(() => undefined)
  }
}
