import type { Clock } from '../../shared/clock.ts'
import type { SmtpConnection } from '../../shared/smtp-client/connection.ts'
import { NoConnectionNow } from '../../shared/smtp-client/pool.ts'
import { countedBy } from './relay-limits.ts'
import type { Counted, RelayLimits } from './relay-limits.ts'

/** Where a new connection counts: `host`, `source` and so on by name. */
export type Places = Readonly<Record<Counted, string>>

/** How long a message waits for a connection that somebody else has. */
const lookAgainMs = 1_000
const maxRemembered = 10_000

/**
 * Counts the connections of this process by host, route, source, connector, relay and domain, and spaces them out, where the
 * configuration says so. Nobody waits here: a message that gets no connection makes room for another.
 */
export class ConnectionBudget {
  readonly #clock: Clock
  /** Connections that exist, by place and by their key in the pool. */
  readonly #open = new Map<string, Map<string, number>>()
  /** Epoch ms from which on the next connection may be made. */
  readonly #nextAt = new Map<string, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * Makes a connection that counts until it is closed.
   * @throws NoConnectionNow and what `connect` throws
   */
  async connect(
    key: string,
    places: Places,
    limits: RelayLimits,
    connect: () => Promise<SmtpConnection>,
  ): Promise<SmtpConnection> {
    const limited = countedBy
      .filter((counted) => limits.maxConnections[counted] !== undefined)
      .map((counted) => `${counted} ${places[counted]}`)
    this.#refuseIfFull(places, limits)
    this.#refuseIfTooSoon(places, limits)
    for (const place of limited) this.#count(place, key, 1)
    const giveBack = (): void => {
      for (const place of limited) this.#count(place, key, -1)
      if (limits.reconnectDelayMs > 0) this.#delay(`route ${places.route}`, limits.reconnectDelayMs)
    }
    try {
      const connection = await connect()
      connection.onceClosed(giveBack)
      return connection
    } catch (error) {
      giveBack()
      throw error
    }
  }

  #refuseIfFull(places: Places, { maxConnections }: RelayLimits): void {
    for (const counted of countedBy) {
      const limit = maxConnections[counted]
      const open = limit === undefined ? undefined : this.#open.get(`${counted} ${places[counted]}`)
      if (limit === undefined || open === undefined) continue
      let total = 0
      for (const count of open.values()) total += count
      if (total < limit) continue
      const why = `max-conn-per-${counted} ${limit} is reached for ${places[counted]}`
      throw new NoConnectionNow(why, { retryInMs: lookAgainMs, crowdedBy: new Set(open.keys()) })
    }
  }

  #refuseIfTooSoon(places: Places, { connectDelayMs, reconnectDelayMs }: RelayLimits): void {
    const nowAt = this.#clock.now()
    const paced = countedBy.filter(
      (counted) => connectDelayMs[counted] !== undefined || (counted === 'route' && reconnectDelayMs > 0),
    )
    for (const counted of paced) {
      const waitMs = (this.#nextAt.get(`${counted} ${places[counted]}`) ?? 0) - nowAt
      if (waitMs <= 0) continue
      const why = `the next connection to ${places[counted]} has to wait (delay by ${counted})`
      throw new NoConnectionNow(why, { retryInMs: waitMs })
    }
    for (const counted of paced) this.#delay(`${counted} ${places[counted]}`, connectDelayMs[counted] ?? 0)
  }

  #delay(place: string, delayMs: number): void {
    if (this.#nextAt.size >= maxRemembered) this.#nextAt.clear()
    this.#nextAt.set(place, Math.max(this.#nextAt.get(place) ?? 0, this.#clock.now() + delayMs))
  }

  #count(place: string, key: string, change: 1 | -1): void {
    const open = this.#open.get(place) ?? new Map<string, number>()
    this.#open.set(place, open)
    const count = (open.get(key) ?? 0) + change
    if (count > 0) open.set(key, count)
    else open.delete(key)
    if (open.size === 0) this.#open.delete(place)
  }
}
