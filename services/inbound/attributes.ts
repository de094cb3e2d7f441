import { isIP } from 'node:net'

import { canonicalAddress } from './proxy-header.ts'

/** What an attribute says, or `undefined`: that is no value of it. */
export type ReadAttribute<Said> = (value: string) => Said | undefined

/**
 * `NAME=value ...` as XCLIENT and XFORWARD have it, values in xtext (RFC 3461 §4), each name once; what the attributes say, put together.
 * `undefined`: nothing is said, or something that is not understood.
 */
export function parseAttributes<Said extends object>(
  argument: string,
  readers: Readonly<Record<string, ReadAttribute<Said>>>,
): Said | undefined {
  const seen = new Set<string>()
  let all: Said | undefined
  for (const word of argument.split(' ').filter((one) => one !== '')) {
    const equals = word.indexOf('=')
    const attribute = word.slice(0, Math.max(0, equals)).toUpperCase()
    const value = decoded(word.slice(equals + 1))
    const read = Object.hasOwn(readers, attribute) ? readers[attribute] : undefined
    const said = value === undefined ? undefined : read?.(value)
    if (said === undefined || seen.has(attribute)) return undefined
    seen.add(attribute)
    all = { ...all, ...said }
  }
  return all
}

/** The sender does not know, or cannot find out now. */
export function isUnknown(value: string): boolean {
  return value === '[UNAVAILABLE]' || value === '[TEMPUNAVAIL]'
}

/** `192.0.2.7` or `IPV6:2001:db8::7`, in its usual form. */
export function addressIn(value: string): string | undefined {
  if (isIP(value) === 4) return value
  const [, address = ''] = /^IPV6:(.+)$/i.exec(value) ?? []
  return isIP(address) === 6 && !address.includes('%') ? canonicalAddress(address) : undefined
}

export function portIn(value: string): number | undefined {
  return /^\d{1,5}$/.test(value) && Number(value) <= 65_535 ? Number(value) : undefined
}

/** A name of DNS, in small letters. */
export function hostNameIn(value: string): string | undefined {
  return hostName.test(value) ? value.toLowerCase() : undefined
}

const hostName =
  /^(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?)*$/

function decoded(value: string): string | undefined {
  if (!/^(?:[\x21-\x2a\x2c-\x3c\x3e-\x7e]|\+[0-9A-Fa-f]{2})+$/.test(value)) return undefined
  const text = value.replaceAll(/\+([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  )
  return /[\0-\x1f\x7f]/.test(text) ? undefined : text
}
