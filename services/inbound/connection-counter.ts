import { isIPv6 } from 'node:net'

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

/** What one client can easily have: an IPv4 address, the /64 of an IPv6 address. */
export function clientOf(address: string): string {
  return groupsOf(address, 4) ?? plainIPv4(address)
}

/** What a provider hands out: the /24 of an IPv4 address, the /48 of an IPv6 address. */
export function networkOf(address: string): string {
  return groupsOf(address, 3) ?? plainIPv4(address).replace(/\.\d+$/, '')
}

function plainIPv4(address: string): string {
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address
}

/** The first groups of an IPv6 address; undefined: it is an IPv4 address, or a mapped one. */
function groupsOf(address: string, count: number): string | undefined {
  if (!isIPv6(address) || plainIPv4(address) !== address) return undefined
  const [head = '', tail] = address.replace(/%.*$/, '').split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = Array.from({ length: tail === undefined ? 0 : 8 - left.length - right.length }, () => '0')
  return [...left, ...zeros, ...right]
    .slice(0, count)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')
}
