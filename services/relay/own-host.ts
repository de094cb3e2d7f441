import { isIP } from 'node:net'
import { networkInterfaces } from 'node:os'

import type { Clock } from '../../shared/clock.ts'
import type { Configuration } from '../../shared/config/model.ts'
import type { MailHost } from './mail-hosts.ts'

/** Whether a mail host is this one. */
export type IsOurs = (host: Pick<MailHost, 'name' | 'addresses'>) => boolean

/** Addresses of interfaces are looked at again after this time. */
const keptForMs = 30_000

/** Keeps the answer to "who are we" for a while: asking the system for each message costs more than the rest of the plan. */
export class OwnHosts {
  readonly #clock: Clock
  #known: { readonly configuration: Configuration; readonly isOurs: IsOurs; readonly until: number } | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  of(configuration: Configuration): IsOurs {
    const nowAt = this.#clock.now()
    if (this.#known?.configuration !== configuration || this.#known.until < nowAt) {
      const isOurs = ownHost(configuration, configuration.pipeline.relayPort)
      this.#known = { configuration, isOurs, until: nowAt + keptForMs }
    }
    return this.#known.isOurs
  }
}

/**
 * Tells whether a mail host is this one: its name is ours, or one of our listeners answers at its address and port. Sending
 * there would be a loop.
 */
export function ownHost(
  configuration: Configuration,
  port: number,
  addresses: readonly string[] = hostAddresses(),
): IsOurs {
  const listening = new Set<string>()
  for (const listener of configuration.listeners) {
    if (listener.port !== port) continue
    if (isIP(listener.on) !== 0 && !isUnspecified(listener.on)) listening.add(listener.on)
    // By the name of an interface or host: any of our addresses may be meant.
    else for (const address of addresses) listening.add(address)
  }
  const name = configuration.hostname.toLowerCase()
  return (host) => host.name === name || host.addresses.some((address) => listening.has(address))
}

function hostAddresses(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((found) => (found ?? []).map(({ address }) => address))
}

function isUnspecified(address: string): boolean {
  return address === '0.0.0.0' || address === '::'
}
