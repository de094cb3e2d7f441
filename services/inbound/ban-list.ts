import { clientOf } from '../../shared/client-of.ts'
import type { Ban, Bans } from '../../shared/queue/queues.ts'
import { oneAtATime } from './one-at-a-time.ts'

/**
 * Clients that are not let in. A ban holds here at once and everywhere after the next `exchange`; while Redis is away each process
 * keeps to what it knows.
 */
export class BanList {
  readonly #now: () => number
  readonly #shared: Bans | undefined
  #bans = new Map<string, Ban>()
  #untold: Ban[] = []
  #version: string | undefined

  /** @param now epoch ms */
  constructor(now: () => number, shared: Bans | undefined) {
    this.#now = now
    this.#shared = shared
  }

  has(address: string): boolean {
    if (this.#bans.size === 0) return false
    const ban = this.#bans.get(clientOf(address))
    return ban !== undefined && ban.until > this.#now()
  }

  add(ban: Ban): void {
    this.#bans.set(ban.client, ban)
    if (this.#shared !== undefined) this.#untold.push(ban)
  }

  /** Never rejects. */
  readonly exchange = oneAtATime(() => this.#exchange().catch(() => undefined))

  async #exchange(): Promise<void> {
    const shared = this.#shared
    if (shared === undefined) return this.#forgetOver()
    while (this.#untold[0] !== undefined) {
      await shared.add(this.#untold[0])
      this.#untold.shift()
    }
    const version = await shared.version()
    if (version === undefined && this.#version !== undefined) {
      // Redis was emptied: what is known here is told again.
      this.#version = undefined
      this.#untold = [...this.#bans.values()].filter(({ until }) => until > this.#now())
      return
    }
    if (version === this.#version) return this.#forgetOver()
    const bans = await shared.list(this.#now())
    this.#version = version
    this.#bans = new Map([...bans, ...this.#untold].map((ban) => [ban.client, ban]))
  }

  #forgetOver(): void {
    const now = this.#now()
    for (const [client, { until }] of this.#bans) if (until <= now) this.#bans.delete(client)
  }
}
