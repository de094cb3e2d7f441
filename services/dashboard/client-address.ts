import type { IncomingHttpHeaders } from 'node:http'
import { isIP, isIPv6 } from 'node:net'

import { compileNetworks } from '../../shared/config/network.ts'

/** Who sent a request, and whether the way to the browser is encrypted. */
export interface Client {
  readonly address: string
  readonly secure: boolean
}

/**
 * The client behind a request. `X-Forwarded-For` and `X-Forwarded-Proto` are believed only when the connection comes from
 * one of the trusted proxies, and only the part that such proxies wrote: the last address that is not theirs.
 */
export function clientOf(peer: string, headers: IncomingHttpHeaders, trustedProxies: readonly string[]): Client {
  const address = plain(peer)
  const proxies = compileNetworks(trustedProxies)
  if (trustedProxies.length === 0 || !proxies.matches(address)) return { address, secure: false }
  const way = listOf(headers['x-forwarded-for']).map(plain)
  const secure = listOf(headers['x-forwarded-proto']).at(-1) === 'https'
  let client = address
  for (const hop of way.toReversed()) {
    if (isIP(hop) === 0) break
    client = hop
    if (!proxies.matches(hop)) break
  }
  return { address: client, secure }
}

/** What one client can easily have: an IPv4 address, the /64 of an IPv6 address. */
export function householdOf(address: string): string {
  if (!isIPv6(address)) return address
  const [head = '', tail = ''] = address.split('%')[0]?.split('::') ?? []
  const left = head === '' ? [] : head.split(':')
  const right = tail === '' ? [] : tail.split(':')
  const zeros = Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => '0')
  return `${[...left, ...zeros, ...right].slice(0, 4).join(':')}::/64`
}

function listOf(header: string | readonly string[] | undefined): readonly string[] {
  const text = typeof header === 'string' ? header : (header ?? []).join(',')
  return text
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '')
}

/** `::ffff:192.0.2.1` is `192.0.2.1`. */
function plain(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, '')
}
