import { isIPv4, isIPv6 } from 'node:net'

/** Compiled addresses and networks of one table. */
export interface NetworkMatcher {
  /** `local` for a message made here; brackets and `IPv6:` around an address are ignored. */
  matches(address: string): boolean
}

export interface Network {
  readonly family: 4 | 6
  readonly bits: number
  readonly prefix: bigint
}

export interface Address {
  readonly family: 4 | 6
  readonly value: bigint
}

/** Families never cross; an entry that is no address matches only the same text. */
export function compileNetworks(entries: readonly string[]): NetworkMatcher {
  const exact = new Set(entries.map((entry) => entry.toLowerCase()))
  const networks = new Map<string, { readonly family: 4 | 6; readonly bits: number; readonly prefixes: Set<bigint> }>()
  for (const entry of entries) {
    const network = parseNetwork(entry)
    if (network === undefined) continue
    const key = `${network.family}/${network.bits}`
    const group = networks.get(key) ?? { family: network.family, bits: network.bits, prefixes: new Set<bigint>() }
    group.prefixes.add(network.prefix)
    networks.set(key, group)
  }
  return {
    matches(address) {
      if (exact.has(address.toLowerCase())) return true
      const host = parseAddress(withoutBrackets(address))
      if (host === undefined) return false
      for (const { family, bits, prefixes } of networks.values()) {
        if (family === host.family && prefixes.has(prefixOf(host.value, family, bits))) return true
      }
      return false
    },
  }
}

/** `192.0.2.0/24`, `10/8`, `192.0.2`, `2001:db8::/32`, `[2001:db8::/32]`; the mask stands inside the brackets. */
export function parseNetwork(entry: string): Network | undefined {
  const [text, mask, ...more] = withoutBrackets(entry).split('/')
  if (text === undefined || more.length > 0 || (mask !== undefined && !/^\d{1,3}$/.test(mask))) return undefined
  const address = parseAddress(text)
  if (address !== undefined) {
    const width = address.family === 4 ? 32 : 128
    const bits = mask === undefined ? width : Number(mask)
    if (bits > width) return undefined
    return { family: address.family, bits, prefix: prefixOf(address.value, address.family, bits) }
  }
  return parseShortNetwork(text, mask)
}

/** The network of so many bits that an address lies in, as text that is the same for all of them; `undefined`: no address. */
export function networkOf(address: string, bits: number): string | undefined {
  const parsed = parseAddress(withoutBrackets(address))
  if (parsed === undefined) return undefined
  return `${parsed.family}:${prefixOf(parsed.value, parsed.family, bits).toString(16)}/${bits}`
}

/** Textual equality of addresses in different spellings: `::1` and `[0:0::1]`. */
export function sameAddress(one: string, other: string): boolean {
  const left = parseAddress(withoutBrackets(one))
  const right = parseAddress(withoutBrackets(other))
  if (left === undefined || right === undefined) return one.toLowerCase() === other.toLowerCase()
  return left.family === right.family && left.value === right.value
}

/** The address without brackets and `IPv6:`. */
export function withoutBrackets(text: string): string {
  const inside = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text
  return inside.replace(/^ipv6:/i, '')
}

/** One to three octets; without a mask as wide as its class, but never wider than the octets written. */
function parseShortNetwork(text: string, mask: string | undefined): Network | undefined {
  if (!/^\d{1,3}(?:\.\d{1,3}){0,2}$/.test(text)) return undefined
  const octets = text.split('.').map(Number)
  if (octets.some((octet) => octet > 255)) return undefined
  const bits = mask === undefined ? Math.max(classBits(octets[0] ?? 0), octets.length * 8) : Number(mask)
  if (bits > 32) return undefined
  const value = [0, 1, 2, 3].reduce((sum, index) => sum * 256n + BigInt(octets[index] ?? 0), 0n)
  return { family: 4, bits, prefix: prefixOf(value, 4, bits) }
}

function classBits(first: number): number {
  if (first >= 240) return 32
  if (first >= 224) return 8
  if (first >= 192) return 24
  return first >= 128 ? 16 : 8
}

export function isWithin({ family, bits, prefix }: Network, address: Address): boolean {
  return family === address.family && prefix === prefixOf(address.value, family, bits)
}

export function parseAddress(text: string): Address | undefined {
  if (isIPv4(text)) return { family: 4, value: text.split('.').reduce((sum, octet) => sum * 256n + BigInt(octet), 0n) }
  if (!isIPv6(text)) return undefined
  return { family: 6, value: ipv6Value(text.replace(/%.*$/, '')) }
}

function ipv6Value(text: string): bigint {
  const dotted = /(?<=:)\d+\.\d+\.\d+\.\d+$/.exec(text)?.[0]
  const octets = dotted?.split('.').map(Number) ?? []
  const hex = (high: number, low: number): string => (((octets[high] ?? 0) << 8) | (octets[low] ?? 0)).toString(16)
  const plain = dotted === undefined ? text : `${text.slice(0, -dotted.length)}${hex(0, 1)}:${hex(2, 3)}`
  const [head = '', tail] = plain.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length
  const groups = [...left, ...Array.from({ length: zeros }, () => '0'), ...right]
  return groups.reduce((sum, group) => sum * 65_536n + BigInt(`0x${group}`), 0n)
}

function prefixOf(value: bigint, family: 4 | 6, bits: number): bigint {
  return value >> BigInt((family === 4 ? 32 : 128) - bits)
}
