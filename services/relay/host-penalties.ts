import type { Clock } from '../../shared/clock.ts'
import type { Penalties } from '../../shared/queue/queues.ts'

const baseMs = 15_000
const longestMs = 3_600_000
/** One message tries a host whose penalty is over; the others wait this long for what it finds. */
const probeMs = 60_000
const maxEntries = 10_000

interface Penalty {
  /** Failures, less one for each success since. */
  readonly points: number
  /** Epoch ms; 0: it works again. */
  readonly until: number
  readonly failedAt: number
}

/**
 * Hosts that give no session are left alone for 15 s x p², at most an hour, p growing with each failure and falling with each success
 * (SMTPD_CONF section 10.2): a dead host costs its time-out once, and not once per message. What one process found out, which holds while
 * Redis is away.
 */
export class HostPenalties {
  readonly #clock: Clock
  readonly #penalties = new Map<string, Penalty>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Milliseconds until the host may be tried; 0: now, and of many only the one who asks first when it failed before. */
  waitMs(key: string): number {
    const penalty = this.#penalties.get(key)
    if (penalty === undefined || penalty.until === 0) return 0
    const nowAt = this.#clock.now()
    if (penalty.until > nowAt) return penalty.until - nowAt
    this.#penalties.set(key, { ...penalty, until: nowAt + probeMs })
    return 0
  }

  /** `startedAt`: of the attempt. Those that were under way together when the host went down count once. */
  failed(key: string, startedAt: number): void {
    const known = this.#penalties.get(key)
    if (known !== undefined && known.failedAt > startedAt) return
    if (this.#penalties.size >= maxEntries) this.#penalties.clear()
    const points = (known?.points ?? 0) + 1
    const nowAt = this.#clock.now()
    this.#penalties.set(key, {
      points,
      until: nowAt + Math.min(baseMs * points * points, longestMs),
      failedAt: nowAt,
    })
  }

  worked(key: string): void {
    const known = this.#penalties.get(key)
    if (known === undefined) return
    if (known.points <= 1) this.#penalties.delete(key)
    else this.#penalties.set(key, { ...known, points: known.points - 1, until: 0 })
  }

  /** Nothing was found out: the next one may try. */
  untried(key: string): void {
    const known = this.#penalties.get(key)
    if (known !== undefined && known.until !== 0) this.#penalties.set(key, { ...known, until: this.#clock.now() })
  }
}

/** The same as all relay processes know it together; while Redis is away, as this one does. */
export class SharedPenalties {
  readonly #clock: Clock
  readonly #all: Penalties
  readonly #own: HostPenalties

  constructor(clock: Clock, all: Penalties) {
    this.#clock = clock
    this.#all = all
    this.#own = new HostPenalties(clock)
  }

  waitMs(key: string): Promise<number> {
    return this.#all.waitMs(key).catch(() => this.#own.waitMs(key))
  }

  /** `startedAt`: of the attempt. */
  async failed(key: string, startedAt: number): Promise<void> {
    this.#own.failed(key, startedAt)
    await this.#all.failed(key, this.#clock.now() - startedAt).catch(() => {})
  }

  async worked(key: string): Promise<void> {
    this.#own.worked(key)
    await this.#all.worked(key).catch(() => {})
  }

  async untried(key: string): Promise<void> {
    this.#own.untried(key)
    await this.#all.untried(key).catch(() => {})
  }
}
