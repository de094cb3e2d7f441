import { isIPv6 } from 'node:net'

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
