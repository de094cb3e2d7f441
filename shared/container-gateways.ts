import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** What container engines leave in the root of a container. */
const marks = ['.dockerenv', 'run/.containerenv']

/**
 * In a container, the hosts that its way out leads over. Where a published port is forwarded by a program of the engine (Docker's
 * userland proxy, rootless engines), every client seems to connect from there. Elsewhere none.
 * @param root in place of `/`
 */
export function containerGateways(root = '/'): readonly string[] {
  if (!marks.some((mark) => existsSync(join(root, mark)))) return []
  return [
    ...ipv4Gateways(linesOf(join(root, 'proc/net/route'))),
    ...ipv6Gateways(linesOf(join(root, 'proc/net/ipv6_route'))),
  ]
}

function linesOf(path: string): readonly (readonly string[])[] {
  try {
    const text = readFileSync(path, 'utf8')
    return text.split('\n').map((line) => line.trim().split(/\s+/))
  } catch {
    return []
  }
}

/** `Iface Destination Gateway Flags ...`, addresses as little-endian hexadecimal numbers. */
function ipv4Gateways(lines: readonly (readonly string[])[]): readonly string[] {
  return lines.flatMap(([, destination, gateway = '']) => {
    if (destination !== '00000000' || !/^[0-9A-F]{8}$/i.test(gateway) || gateway === '00000000') return []
    return [[...Buffer.from(gateway, 'hex')].reverse().join('.')]
  })
}

/** `destination prefix source prefix next-hop ...`, addresses as 32 hexadecimal digits. */
function ipv6Gateways(lines: readonly (readonly string[])[]): readonly string[] {
  return lines.flatMap(([destination = '', prefix, , , gateway = '']) => {
    if (!/^0{32}$/.test(destination) || prefix !== '00' || !/^[0-9a-f]{32}$/i.test(gateway) || /^0+$/.test(gateway))
      return []
    // As addresses of clients are written.
    return [new URL(`http://[${(gateway.match(/.{4}/g) ?? []).join(':')}]`).hostname.slice(1, -1)]
  })
}
