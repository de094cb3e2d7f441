/**
 * Runs actions one after the other; an action that takes longer than `aloneMs` no longer keeps the next one waiting.
 * For jobs that may bring the process down: when it falls, the one at work is to blame and not its neighbours.
 */
export class OneByOne {
  readonly #aloneMs: number
  #tail: Promise<void> = Promise.resolve()

  constructor(aloneMs: number) {
    this.#aloneMs = aloneMs
  }

  async run<T>(action: () => Promise<T>): Promise<T> {
    const before = this.#tail
    let free = (): void => {}
    this.#tail = new Promise((resolve) => {
      free = resolve
    })
    await before
    const timer = setTimeout(free, this.#aloneMs)
    try {
      return await action()
    } finally {
      clearTimeout(timer)
      free()
    }
  }
}
