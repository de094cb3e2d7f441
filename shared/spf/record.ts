import { isIPv4, isIPv6 } from 'node:net'

import { parseNetwork } from '../config/network.ts'
import type { Network } from '../config/network.ts'
import type { MacroString } from './macro-string.ts'
import { parseDomainSpec, parseMacroString } from './macro-string.ts'

/** A record that keeps the syntax of RFC 7208 §12 from end to end. */
export interface SpfRecord {
  readonly directives: readonly Directive[]
  readonly redirect?: MacroString
  /** exp= */
  readonly explanation?: MacroString
}

export interface Directive {
  readonly result: 'pass' | 'fail' | 'softfail' | 'neutral'
  readonly mechanism: Mechanism
}

export type Mechanism =
  | { readonly kind: 'all' }
  | { readonly kind: 'include' | 'exists'; readonly domain: MacroString }
  | { readonly kind: 'a' | 'mx'; readonly domain?: MacroString; readonly bits: CidrLengths }
  | { readonly kind: 'ptr'; readonly domain?: MacroString }
  | { readonly kind: 'network'; readonly network: Network }

/** dual-cidr-length: how much of an address counts, by its family. */
export interface CidrLengths {
  readonly 4: number
  readonly 6: number
}

/** A text that claims to be an SPF record, right or wrong (§4.5). */
export function isSpfRecord(text: string): boolean {
  return /^v=spf1(?: |$)/i.test(text)
}

/** @returns `undefined` for a record with any error in it, behind the mechanism that matches too (§4.6). */
export function parseSpfRecord(text: string): SpfRecord | undefined {
  const directives: Directive[] = []
  const modifiers = new Map<string, MacroString>()
  for (const term of text.slice('v=spf1'.length).split(' ')) {
    if (term === '') continue
    const modifier = /^([a-z][a-z0-9_.-]*)=(.*)$/is.exec(term)
    if (modifier === null) {
      const directive = parseDirective(term)
      if (directive === undefined) return undefined
      directives.push(directive)
    } else if (!takeModifier(modifiers, (modifier[1] ?? '').toLowerCase(), modifier[2] ?? '')) return undefined
  }
  const redirect = modifiers.get('redirect')
  const explanation = modifiers.get('exp')
  return {
    directives,
    ...(redirect === undefined ? {} : { redirect }),
    ...(explanation === undefined ? {} : { explanation }),
  }
}

/** redirect= and exp= stand once at most; others mean nothing, but keep the syntax (§6). @returns false for an error */
function takeModifier(modifiers: Map<string, MacroString>, name: string, value: string): boolean {
  if (name !== 'redirect' && name !== 'exp') return parseMacroString(value) !== undefined
  const domain = parseDomainSpec(value)
  if (domain === undefined || modifiers.has(name)) return false
  modifiers.set(name, domain)
  return true
}

function parseDirective(term: string): Directive | undefined {
  const result = qualifiers.get(term[0] ?? '')
  const mechanism = parseMechanism(result === undefined ? term : term.slice(1))
  return mechanism === undefined ? undefined : { result: result ?? 'pass', mechanism }
}

const qualifiers: ReadonlyMap<string, Directive['result']> = new Map([
  ['+', 'pass'],
  ['-', 'fail'],
  ['~', 'softfail'],
  ['?', 'neutral'],
])

function parseMechanism(text: string): Mechanism | undefined {
  const [, name = '', rest = ''] = /^([a-z0-9]*)(.*)$/is.exec(text) ?? []
  const kind = name.toLowerCase()
  switch (kind) {
    case 'all':
      return rest === '' ? { kind } : undefined
    case 'include':
    case 'exists': {
      const domain = rest.startsWith(':') ? parseDomainSpec(rest.slice(1)) : undefined
      return domain && { kind, domain }
    }
    case 'a':
    case 'mx':
      return parseHosts(kind, rest)
    case 'ptr': {
      if (rest === '') return { kind }
      const domain = rest.startsWith(':') ? parseDomainSpec(rest.slice(1)) : undefined
      return domain && { kind, domain }
    }
    case 'ip4':
      return parseIp(rest, isIPv4, ip4Cidr)
    case 'ip6':
      return parseIp(rest, isIPv6, ip6Cidr)
    default:
      return undefined
  }
}

function parseHosts(kind: 'a' | 'mx', rest: string): Mechanism | undefined {
  const [, spec = '', length4 = '32', length6 = '128'] = dualCidr.exec(rest) ?? []
  const bits = { 4: Number(length4), 6: Number(length6) }
  if (bits[4] > 32 || bits[6] > 128) return undefined
  if (spec === '') return { kind, bits }
  const domain = spec.startsWith(':') ? parseDomainSpec(spec.slice(1)) : undefined
  return domain && { kind, domain, bits }
}

const dualCidr = /^(.*?)(?:\/(0|[1-9]\d?))?(?:\/\/(0|[1-9]\d{0,2}))?$/s

function parseIp(rest: string, isAddress: (text: string) => boolean, cidr: RegExp): Mechanism | undefined {
  const [, address, length] = cidr.exec(rest) ?? []
  if (address === undefined || !isAddress(address)) return undefined
  const network = parseNetwork(length === undefined ? address : `${address}/${length}`)
  return network && { kind: 'network', network }
}

const ip4Cidr = /^:([\d.]+)(?:\/(0|[1-9]\d?))?$/
const ip6Cidr = /^:([\da-f:.]+)(?:\/(0|[1-9]\d{0,2}))?$/i
