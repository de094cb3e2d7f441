import type { Redis } from 'ioredis'

import type { Logger } from '../log.ts'
import type { RedisReport } from './check-redis.ts'

const everyMs = 5000

/** Looks at Redis when it comes (back) and every 5 s: memory, policy, role. Logs what an operator must know, once. */
export class RedisMonitor {
  readonly #look: () => Promise<RedisReport>
  readonly #log: Logger
  readonly #timer: NodeJS.Timeout
  readonly #redis: Redis
  #report: RedisReport | undefined
  #told: ReadonlySet<string> = new Set()

  constructor(redis: Redis, look: () => Promise<RedisReport>, log: Logger) {
    this.#redis = redis
    this.#look = look
    this.#log = log
    this.#timer = setInterval(() => void this.#refresh(), everyMs)
    this.#timer.unref()
    redis.on('ready', () => void this.#refresh())
  }

  get report(): RedisReport | undefined {
    return this.#report
  }

  close(): void {
    clearInterval(this.#timer)
  }

  async #refresh(): Promise<void> {
    if (this.#redis.status !== 'ready') return
    try {
      this.#report = await this.#look()
    } catch {
      return // Connection trouble has its own line.
    }
    this.#tell(this.#report)
  }

  /** Once, until it is over. Percentages change all the time: only the words count. */
  #tell({ refusals, warnings }: RedisReport): void {
    const before = this.#told
    for (const text of refusals) if (!before.has(wordsOf(text))) this.#log.error({}, text)
    for (const text of warnings) if (!before.has(wordsOf(text))) this.#log.warn({}, text)
    this.#told = new Set([...refusals, ...warnings].map(wordsOf))
  }
}

function wordsOf(text: string): string {
  return text.replaceAll(/\d+/g, '#')
}
