import { networkInterfaces } from 'node:os'

import { isLoopback } from '../../shared/config/loopback.ts'
import type { Listener } from '../../shared/config/model.ts'
import { compileNetworks, parseNetwork } from '../../shared/config/network.ts'

export type Admits = (address: string) => boolean

/**
 * Who may connect to a listener that smtpd.conf declares on loopback and `interface lo is ...` of pipeline.conf puts elsewhere:
 * this host, and the network when one is written (`10.77.0.0/24`). Its sessions count as this host, so it must not be open to
 * more: an address or interface alone admits only this host. Absent: the listener is where it was declared.
 */
export function admissionOf(
  { on }: Pick<Listener, 'on'>,
  interfaces: ReadonlyMap<string, string>,
  ownAddresses: () => readonly string[] = hostAddresses,
): Admits | undefined {
  const place = interfaces.get(on)
  if (!isLoopback(on) || place === undefined) return undefined
  const network = place.includes('/') && parseNetwork(place) !== undefined ? compileNetworks([place]) : undefined
  return (address) => {
    const plain = address.replace(/%.*$/, '')
    return network?.matches(plain) === true || compileNetworks(ownAddresses()).matches(plain)
  }
}

/** An address of this host that no other can have. */
export function isLoopbackAddress(address: string): boolean {
  return loopback.matches(address)
}

const loopback = compileNetworks(['127.0.0.0/8', '::1'])

function hostAddresses(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address))
}
