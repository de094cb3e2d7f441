import { createSecureContext, DEFAULT_CIPHERS } from 'node:tls'

import type { TokenReader } from './token-reader.ts'

/** Oldest first. SSL is never spoken. */
export const knownVersions = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const

export type TlsVersion = (typeof knownVersions)[number]

/** Versions by the words of `protocols`. */
const versions: Readonly<Record<string, readonly TlsVersion[]>> = {
  all: knownVersions,
  legacy: knownVersions,
  secure: ['TLSv1.2', 'TLSv1.3'],
  default: ['TLSv1.2', 'TLSv1.3'],
  tlsv1: knownVersions,
  'tlsv1.0': ['TLSv1'],
  'tlsv1.1': ['TLSv1.1'],
  'tlsv1.2': ['TLSv1.2'],
  'tlsv1.3': ['TLSv1.3'],
}

/** Lists by the words of libtls. */
const cipherWords: Readonly<Record<string, string>> = {
  secure: DEFAULT_CIPHERS,
  default: DEFAULT_CIPHERS,
  compat: 'HIGH:!aNULL',
  legacy: 'HIGH:MEDIUM:!aNULL',
  insecure: 'ALL:!aNULL:!eNULL',
  all: 'ALL:!aNULL:!eNULL',
}

/**
 * What `protocols` allows: words separated by comma, colon or blank, `!` takes one away. Empty when nothing of today is left,
 * undefined for a word that is none.
 */
export function parseTlsProtocols(text: string): ReadonlySet<TlsVersion> | undefined {
  const allowed = new Set<TlsVersion>()
  const words = text
    .toLowerCase()
    .split(/[,:\s]+/)
    .filter((word) => word !== '')
  for (const [index, word] of words.entries()) {
    const not = word.startsWith('!')
    const name = not ? word.slice(1) : word
    const meant = Object.hasOwn(versions, name) ? versions[name] : undefined
    if (meant === undefined) return undefined
    if (not && index === 0) for (const version of knownVersions) allowed.add(version)
    for (const version of meant) {
      if (not) allowed.delete(version)
      else allowed.add(version)
    }
  }
  return allowed
}

/**
 * The versions a connection may have: those of `protocols`, none below the minimum; absent: nothing is left. TLS agrees on a range: what
 * is cut off from the newest by a version that is missing is not spoken.
 */
export function tlsVersions(
  protocols: string | undefined,
  minimum: TlsVersion,
): { readonly minVersion: TlsVersion; readonly maxVersion?: TlsVersion } | undefined {
  const allowed = protocols === undefined ? undefined : parseTlsProtocols(protocols)
  if (allowed === undefined) return { minVersion: minimum }
  const newestFirst = knownVersions.slice(knownVersions.indexOf(minimum)).reverse()
  const first = newestFirst.findIndex((version) => allowed.has(version))
  const maxVersion = newestFirst[first]
  if (maxVersion === undefined) return undefined
  const missing = newestFirst.slice(first).findIndex((version) => !allowed.has(version))
  const minVersion = newestFirst[missing < 0 ? newestFirst.length - 1 : first + missing - 1] ?? maxVersion
  return maxVersion === 'TLSv1.3' ? { minVersion } : { minVersion, maxVersion }
}

/** Versions that are named one by one and that the minimum keeps out. */
export function versionsKeptOut(protocols: string, minimum: TlsVersion): readonly TlsVersion[] {
  const words = protocols.toLowerCase().split(/[,:\s]+/)
  const named = words.flatMap((word) => (/^tlsv1\.\d$/.test(word) ? (versions[word] ?? []) : []))
  return named.filter((version) => isOlder(version, minimum))
}

export function isOlder(version: TlsVersion, than: TlsVersion): boolean {
  return knownVersions.indexOf(version) < knownVersions.indexOf(than)
}

/** The list for a connection that may be as old as that: OpenSSL has ciphers and signatures of TLS before 1.2 at its lowest level only. */
export function ciphersFor(minVersion: TlsVersion, ciphers: string | undefined): string | undefined {
  return isOlder(minVersion, 'TLSv1.2') ? `${ciphers ?? DEFAULT_CIPHERS}:@SECLEVEL=0` : ciphers
}

/** In OpenSSL's notation; a word of libtls stands for its list. Undefined when TLS knows none of the ciphers. */
export function parseCiphers(text: string): string | undefined {
  const word = text.toLowerCase()
  if (Object.hasOwn(cipherWords, word)) return cipherWords[word]
  try {
    createSecureContext({ ciphers: text })
    return text
  } catch {
    return undefined
  }
}

/** The value of a `protocols` option. */
export function readProtocols(reader: TokenReader): string {
  const { text, span } = reader.string('TLS protocols')
  const allowed = parseTlsProtocols(text)
  const hint = 'TLSv1.2, TLSv1.3 or both with a comma; `secure` is both'
  if (allowed === undefined) reader.fail('value', `"${text}" names no versions of TLS`, span, hint)
  if (allowed.size === 0) reader.fail('value', `"${text}" leaves no version of TLS`, span, hint)
  return text
}

/** The value of a `ciphers` option, in OpenSSL's notation. */
export function readCiphers(reader: TokenReader): string {
  const { text, span } = reader.string('TLS ciphers')
  const list = parseCiphers(text)
  if (list !== undefined) return list
  return reader.fail('value', `TLS knows none of the ciphers "${text}"`, span, "OpenSSL's notation: HIGH:!aNULL:!MD5")
}
