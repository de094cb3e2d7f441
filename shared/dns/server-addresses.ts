import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'

import { dnsPlace } from './exchange.ts'

/** A server may move: a container that was made anew has another address. */
const keptForMs = 30_000

export type HostLookUp = (host: string) => Promise<readonly string[]>

/** Whether all are addresses, so that nothing needs to be asked to reach them. */
export function areAddresses(servers: readonly string[]): boolean {
  return servers.every((server) => isIP(dnsPlace(server).address) !== 0)
}

/**
 * The addresses of DNS servers that are told by name, the name of a container mostly. The system's own resolver says what they are; it is asked again
 * after 30 s, and what it said before stays when it does not answer.
 */
export class ServerAddresses {
  readonly #servers: readonly string[]
  readonly #lookUp: HostLookUp
  #known: readonly string[] = []
  #asking: Promise<readonly string[]> | undefined
  #until = 0

  constructor(servers: readonly string[], lookUp: HostLookUp = bySystem) {
    this.#servers = servers
    this.#lookUp = lookUp
  }

  /** `address:port` of each. @throws Error when none is known */
  async current(): Promise<readonly string[]> {
    if (this.#until > Date.now()) return this.#known
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined
    })
    return this.#asking
  }

  async #ask(): Promise<readonly string[]> {
    const found = await Promise.all(this.#servers.map((server) => this.#addressesOf(server)))
    if (found.some((addresses) => addresses.length > 0)) {
      this.#known = found.flat()
      this.#until = Date.now() + keptForMs
    }
    // Without a code: an error of the DNS about this name says nothing about the one that was to be asked for.
    if (this.#known.length === 0) throw new Error(`no address of the DNS server ${this.#servers.join(', ')} is known`)
    return this.#known
  }

  async #addressesOf(server: string): Promise<readonly string[]> {
    const { address, port } = dnsPlace(server)
    const addresses = isIP(address) === 0 ? await this.#lookUp(address).catch(() => []) : [address]
    return addresses.map((one) => (isIP(one) === 6 ? `[${one}]:${port}` : `${one}:${port}`))
  }
}

async function bySystem(host: string): Promise<readonly string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address)
}
