import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { networkInterfaces } from 'node:os'
import type { NetworkInterfaceInfo } from 'node:os'

import { compileNetworks, parseNetwork } from '../../shared/config/network.ts'

export interface BindOptions {
  /** `listen on`: interface, group, address or host name. */
  readonly on: string
  readonly family?: 4 | 6
  /** `interface lo is "10.77.0.0/24"` of pipeline.conf: what stands for an interface here. */
  readonly interfaces: ReadonlyMap<string, string>
}

type Interfaces = NodeJS.Dict<NetworkInterfaceInfo[]>
type Resolve = (name: string) => Promise<readonly string[]>

/**
 * The addresses a `listen on` statement means: an address itself; all of an interface; `lo` loopback; `egress`, `all` or a name
 * that is neither interface nor host, every address that is not loopback; a host name, all its addresses. Of the family asked for.
 */
export async function bindAddresses(
  options: BindOptions,
  interfaces: Interfaces = networkInterfaces(),
  resolve: Resolve = resolveHost,
): Promise<readonly string[]> {
  const on = options.interfaces.get(options.on) ?? options.on
  const found = await addressesOf(on, interfaces, resolve)
  const wanted = found.filter((address) => options.family === undefined || isIP(bare(address)) === options.family)
  return [...new Set(wanted)]
}

async function addressesOf(on: string, interfaces: Interfaces, resolve: Resolve): Promise<readonly string[]> {
  if (isIP(bare(on)) !== 0) return [on]
  if (on.includes('/') && parseNetwork(on) !== undefined) {
    const network = compileNetworks([on])
    return listed(interfaces, () => true).filter((address) => network.matches(bare(address)))
  }
  if (on === 'lo' || on === 'lo0') return listed(interfaces, (one) => one.internal)
  if (interfaces[on] !== undefined) return listed({ [on]: interfaces[on] }, () => true)
  if (on !== 'egress' && on !== 'all') {
    const resolved = await resolve(on)
    // `localhost` has an IPv6 address in many a hosts file where the machine has none.
    const ours = resolved.filter((address) => listed(interfaces, () => true).includes(address))
    if (resolved.length > 0) return ours.length > 0 ? ours : resolved
  }
  return listed(interfaces, (one) => !one.internal)
}

function listed(interfaces: Interfaces, wanted: (one: NetworkInterfaceInfo) => boolean): string[] {
  return Object.entries(interfaces).flatMap(([name, addresses]) =>
    (addresses ?? [])
      .filter((one) => wanted(one))
      .map((one) => (one.family === 'IPv6' && one.scopeid > 0 ? `${one.address}%${name}` : one.address)),
  )
}

async function resolveHost(name: string): Promise<readonly string[]> {
  try {
    return (await lookup(name, { all: true })).map((one) => one.address)
  } catch {
    return []
  }
}

function bare(address: string): string {
  return address.replace(/%.*$/, '')
}
