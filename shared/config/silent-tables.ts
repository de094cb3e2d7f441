/** A failure that took so long was waited for; one that came at once costs nobody anything. */
const slowMs = 1_000
/** So many questions in a row are waited for in vain. */
const patience = 3
const restMs = 2_000

interface Silence {
  readonly failures: number
  /** When the last of them ended, or the next question was let through. */
  readonly since: number
  readonly reason: string
}

/**
 * The tables that let questions wait in vain. After three in a row one is left alone: what is asked of it fails at once, but for one
 * question every two seconds, until it answers again, or at least refuses at once. So a server that swallows packets does not cost
 * each command the whole time of an answer.
 */
export class SilentTables {
  readonly #silent = new Map<string, Silence>()
  readonly #now: () => number

  /** @param now epoch ms; may be set back */
  constructor(now: () => number) {
    this.#now = now
  }

  /** The result of asking `id`. @throws Error at once while it is left alone */
  async ask<Answer>(id: string, put: () => Promise<Answer>): Promise<Answer> {
    this.#letThrough(id)
    const askedAt = this.#now()
    try {
      const answer = await put()
      this.#silent.delete(id)
      return answer
    } catch (error) {
      this.#failed(id, askedAt, error instanceof Error ? error.message : String(error))
      throw error
    }
  }

  /** They are asked anew. */
  clear(): void {
    this.#silent.clear()
  }

  #letThrough(id: string): void {
    const silence = this.#silent.get(id)
    if (silence === undefined || silence.failures < patience) return
    const restedMs = this.#now() - silence.since
    if (restedMs >= 0 && restedMs < restMs) throw new Error(`it is left alone for a moment: ${silence.reason}`)
    this.#silent.set(id, { ...silence, since: this.#now() })
  }

  #failed(id: string, askedAt: number, reason: string): void {
    const now = this.#now()
    if (now - askedAt < slowMs) return void this.#silent.delete(id)
    const failures = (this.#silent.get(id)?.failures ?? 0) + 1
    this.#silent.set(id, { failures, since: now, reason })
  }
}
