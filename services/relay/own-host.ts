import { isIP } from 'node:net'
import { networkInterfaces } from 'node:os'

import type { Configuration } from '../../shared/config/model.ts'
import type { MailHost } from './mail-hosts.ts'

/**
 * Tells whether a mail host is this one: its name is ours, or one of our listeners answers at its address and port. Sending
 * there would be a loop.
 */
export function ownHost(
  configuration: Configuration,
  port: number,
  addresses: readonly string[] = hostAddresses(),
): (host: Pick<MailHost, 'name' | 'addresses'>) => boolean {
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
