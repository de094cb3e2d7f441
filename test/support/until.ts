/**
 * A promise with a deadline, for tests only: what should have happened by then has not, so the test fails with `what`.
 * Nothing waits for the deadline when the event comes first.
 */
export async function within<T>(timeoutMs: number, what: string | (() => string), event: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`not within ${timeoutMs} ms: ${typeof what === 'string' ? what : what()}`))
    }, timeoutMs)
  })
  try {
    return await Promise.race([event, deadline])
  } finally {
    clearTimeout(timer)
  }
}

/** Waiters on a state that changes: `changed()` is called at every change, `until` resolves at the first that satisfies. */
export class Changes {
  readonly #waiting = new Set<() => void>()

  changed(): void {
    for (const check of this.#waiting) check()
  }

  async until<T>(timeoutMs: number, what: string | (() => string), probe: () => T | undefined): Promise<T> {
    let check: () => void = () => undefined
    const event = new Promise<T>((resolve, reject) => {
      check = () => {
        try {
          const found = probe()
          if (found !== undefined) resolve(found)
        } catch (error) {
          reject(error)
        }
      }
    })
    this.#waiting.add(check)
    check()
    try {
      return await within(timeoutMs, what, event)
    } finally {
      this.#waiting.delete(check)
    }
  }
}
