import { isIP } from 'node:net'

import type { ClientName } from '../../shared/client-name.ts'
import { canonicalAddress } from './proxy-header.ts'

/** For whom a trusted client speaks: what XCLIENT (Postfix's) says of him; what is absent stays as it was. */
export interface ForwardedClient {
  readonly address?: string
  readonly port?: number
  readonly name?: ClientName
  /** Who has logged in there; absent: nobody has. */
  readonly user?: string
}

/** The attributes that are taken. HELO and PROTO are not: the EHLO behind XCLIENT says both. */
export const xclientAttributes = 'NAME ADDR PORT LOGIN'

/** An address of nobody: the one of the client is not known there. */
const unknownAddress = '0.0.0.0'
const hostName =
  /^(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?)*$/

/** `NAME=value ...` with values in xtext, `[UNAVAILABLE]` or `[TEMPUNAVAIL]`; `undefined` for anything else. */
export function parseXclient(argument: string): ForwardedClient | undefined {
  const seen = new Set<string>()
  let client: ForwardedClient = {}
  for (const word of argument.split(' ').filter((one) => one !== '')) {
    const equals = word.indexOf('=')
    const attribute = word.slice(0, Math.max(0, equals)).toUpperCase()
    const value = decoded(word.slice(equals + 1))
    const read = Object.hasOwn(readers, attribute) ? readers[attribute as Attribute] : undefined
    const said = value === undefined ? undefined : read?.(value)
    if (said === undefined || seen.has(attribute)) return undefined
    seen.add(attribute)
    client = { ...client, ...said }
  }
  return seen.size === 0 ? undefined : client
}

type Attribute = 'NAME' | 'ADDR' | 'PORT' | 'LOGIN'

const readers: Readonly<Record<Attribute, (value: string) => ForwardedClient | undefined>> = {
  NAME(value) {
    if (value === '[UNAVAILABLE]') return { name: { forward: 'fail' } }
    if (value === '[TEMPUNAVAIL]') return { name: { forward: 'error' } }
    return hostName.test(value) ? { name: { name: value.toLowerCase(), forward: 'pass' } } : undefined
  },
  ADDR(value) {
    if (isUnknown(value)) return { address: unknownAddress }
    if (isIP(value) === 4) return { address: value }
    const [, address = ''] = /^IPV6:(.+)$/i.exec(value) ?? []
    return isIP(address) === 6 && !address.includes('%') ? { address: canonicalAddress(address) } : undefined
  },
  PORT(value) {
    if (isUnknown(value)) return { port: 0 }
    return /^\d{1,5}$/.test(value) && Number(value) <= 65_535 ? { port: Number(value) } : undefined
  },
  LOGIN(value) {
    if (isUnknown(value)) return {}
    return value !== '' && value.length <= 256 ? { user: value } : undefined
  },
}

function isUnknown(value: string): boolean {
  return value === '[UNAVAILABLE]' || value === '[TEMPUNAVAIL]'
}

/** xtext (RFC 3461 §4) of printable ASCII. */
function decoded(value: string): string | undefined {
  if (!/^(?:[\x21-\x2a\x2c-\x3c\x3e-\x7e]|\+[0-9A-Fa-f]{2})+$/.test(value)) return undefined
  const text = value.replaceAll(/\+([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  )
  return /^[\x20-\x7e]+$/.test(text) ? text : undefined
}
