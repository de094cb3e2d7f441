import { createSecureContext, DEFAULT_CIPHERS } from 'node:tls'

import type { TokenReader } from './token-reader.ts'

export type TlsVersion = 'TLSv1.2' | 'TLSv1.3'

/** Versions by the words of `protocols`; what is older than 1.2 is never spoken. */
const versions: Readonly<Record<string, readonly TlsVersion[]>> = {
  all: ['TLSv1.2', 'TLSv1.3'],
  legacy: ['TLSv1.2', 'TLSv1.3'],
  secure: ['TLSv1.2', 'TLSv1.3'],
  default: ['TLSv1.2', 'TLSv1.3'],
  tlsv1: ['TLSv1.2', 'TLSv1.3'],
  'tlsv1.0': [],
  'tlsv1.1': [],
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
    if (not && index === 0) for (const version of ['TLSv1.2', 'TLSv1.3'] as const) allowed.add(version)
    for (const version of meant) {
      if (not) allowed.delete(version)
      else allowed.add(version)
    }
  }
  return allowed
}

/** The versions a connection may have: those of `protocols`, none below the minimum; absent: nothing is left. */
export function tlsVersions(
  protocols: string | undefined,
  minimum: TlsVersion,
): { readonly minVersion: TlsVersion; readonly maxVersion?: TlsVersion } | undefined {
  const allowed = protocols === undefined ? undefined : parseTlsProtocols(protocols)
  if (allowed === undefined) return { minVersion: minimum }
  const has12 = allowed.has('TLSv1.2') && minimum === 'TLSv1.2'
  const has13 = allowed.has('TLSv1.3')
  if (!has12) return has13 ? { minVersion: 'TLSv1.3' } : undefined
  return has13 ? { minVersion: 'TLSv1.2' } : { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' }
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
  if (allowed.size === 0) reader.fail('value', 'TLS older than 1.2 is not spoken here', span, hint)
  return text
}

/** The value of a `ciphers` option, in OpenSSL's notation. */
export function readCiphers(reader: TokenReader): string {
  const { text, span } = reader.string('TLS ciphers')
  const list = parseCiphers(text)
  if (list !== undefined) return list
  return reader.fail('value', `TLS knows none of the ciphers "${text}"`, span, "OpenSSL's notation: HIGH:!aNULL:!MD5")
}
