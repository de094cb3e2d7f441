import { clientOf, networkOf } from '../../shared/client-of.ts'

/** How many may be connected at a time. */
export interface ConnectionLimits {
  readonly total: number
  readonly perClient: number
  /** Absent: as many as `total`. */
  readonly perNetwork?: number
  /** Who only counts into the total; absent: nobody. */
  readonly isExempt?: (address: string) => boolean
}

export type NoPlace = 'server full' | 'client full' | 'network full'

/** Counts connections per client and network, so that one of them cannot take all. */
export class ConnectionCounter {
  /** May change while connections are open. */
  limits: ConnectionLimits
  readonly #clients = new Map<string, number>()
  readonly #networks = new Map<string, number>()
  #count = 0

  constructor(limits: ConnectionLimits) {
    this.limits = limits
  }

  get open(): number {
    return this.#count
  }

  /** A function that gives the place back, once; or why there is none. */
  take(address: string): (() => void) | NoPlace {
    const { total, perClient, perNetwork, isExempt } = this.limits
    const client = clientOf(address)
    const network = perNetwork === undefined ? undefined : networkOf(address)
    if (isExempt?.(address) !== true) {
      if ((this.#clients.get(client) ?? 0) >= perClient) return 'client full'
      if (network !== undefined && (this.#networks.get(network) ?? 0) >= (perNetwork ?? Infinity)) return 'network full'
    }
    if (this.#count >= total) return 'server full'
    this.#count += 1
    add(this.#clients, client, 1)
    if (network !== undefined) add(this.#networks, network, 1)
    let taken = true
    return () => {
      if (!taken) return
      taken = false
      this.#count -= 1
      add(this.#clients, client, -1)
      if (network !== undefined) add(this.#networks, network, -1)
    }
  }
}

function add(counts: Map<string, number>, key: string, change: number): void {
  const count = (counts.get(key) ?? 0) + change
  if (count <= 0) counts.delete(key)
  else counts.set(key, count)
}
