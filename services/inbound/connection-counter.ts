import { isIPv6 } from 'node:net'

/** Counts connections per client, so that one of them cannot take all. */
export class ConnectionCounter {
  readonly #total: number
  readonly #perClient: number
  readonly #open = new Map<string, number>()
  #count = 0

  constructor(total: number, perClient: number) {
    this.#total = total
    this.#perClient = perClient
  }

  /** A function that gives the place back, once; or why there is none. */
  take(address: string): (() => void) | 'server full' | 'client full' {
    const client = clientOf(address)
    const open = this.#open.get(client) ?? 0
    if (open >= this.#perClient) return 'client full'
    if (this.#count >= this.#total) return 'server full'
    this.#open.set(client, open + 1)
    this.#count += 1
    let taken = true
    return () => {
      if (taken) this.#release(client)
      taken = false
    }
  }

  #release(client: string): void {
    this.#count -= 1
    const open = (this.#open.get(client) ?? 1) - 1
    if (open === 0) this.#open.delete(client)
    else this.#open.set(client, open)
  }
}

/** What one client can easily have: an IPv4 address, the /64 of an IPv6 address. */
export function clientOf(address: string): string {
  if (!isIPv6(address)) return address
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)
  if (mapped?.[1] !== undefined) return mapped[1]
  const [head = '', tail] = address.replace(/%.*$/, '').split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = Array.from({ length: tail === undefined ? 0 : 8 - left.length - right.length }, () => '0')
  return [...left, ...zeros, ...right]
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')
}
