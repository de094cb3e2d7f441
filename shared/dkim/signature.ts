import { asciiDomain } from './ascii-domain.ts'
import type { HashAlgorithm } from './body-hash.ts'
import type { Canonicalization } from './canonical-header.ts'
import type { KeyType } from './public-key.ts'
import { decodeBase64, parseTagList } from './tag-list.ts'
import { rawValue } from './raw-field.ts'

/** What a DKIM-Signature (RFC 6376 §3.5) or an ARC-Message-Signature (RFC 8617 §4.1.2) says. */
export interface SignatureTags {
  readonly domain: string
  readonly selector: string
  readonly keyType: KeyType
  readonly hash: HashAlgorithm
  readonly header: Canonicalization
  readonly body: Canonicalization
  /** h= in lower case. */
  readonly signedNames: readonly string[]
  readonly bodyHash: string
  /** b=, base64 without blanks. */
  readonly signature: string
  /** l= */
  readonly bodyLimit?: number
  /** i= of DKIM: the identity signed for. */
  readonly identity: string
  /** t= and x=, epoch seconds. */
  readonly signedAt?: number
  readonly expiresAt?: number
}

export type ParsedSignature =
  | { readonly kind: 'signature'; readonly tags: SignatureTags }
  | {
      readonly kind: 'void'
      readonly reason: string
      readonly domain?: string
      readonly selector?: string
    }

/** Reads a DKIM-Signature field; one that RFC 6376 §6.1.1 says to ignore is `void`. */
export function parseSignature(raw: string): ParsedSignature {
  const tags = parseTagList(rawValue(raw))
  if (tags === undefined) return { kind: 'void', reason: 'signature has syntax errors' }
  if (!versions.has(tags.get('v'))) return voided(tags, 'unknown version of signature')
  const parsed = parseCommon(tags)
  if (parsed.kind === 'void') return parsed
  const { signedNames, identity, domain } = parsed.tags
  if (!signedNames.includes('from')) return voided(tags, 'From is not signed')
  const identityDomain = asciiDomain(identity.slice(identity.lastIndexOf('@') + 1))
  if (identityDomain !== domain && !identityDomain.endsWith(`.${domain}`)) return voided(tags, 'i= is outside d=')
  return parsed
}

/** 1; signers of the drafts say 0.5 or nothing, and what they sign verifies in the same way. */
const versions: ReadonlySet<string | undefined> = new Set(['1', '0.5', undefined])

/** Reads an ARC-Message-Signature: as DKIM, but for v= and i= (RFC 8617 §4.1.2). */
export function parseArcSignature(raw: string): ParsedSignature {
  const tags = parseTagList(rawValue(raw))
  if (tags === undefined) return { kind: 'void', reason: 'signature has syntax errors' }
  return parseCommon(new Map([...tags].filter(([name]) => name !== 'i')))
}

/** `rsa-sha256` and its like; `undefined` for what neither RFC 6376 nor RFC 8463 knows. */
export function parseAlgorithm(text: string): { readonly keyType: KeyType; readonly hash: HashAlgorithm } | undefined {
  switch (text.toLowerCase()) {
    case 'rsa-sha256':
      return { keyType: 'rsa', hash: 'sha256' }
    case 'rsa-sha1':
      return { keyType: 'rsa', hash: 'sha1' }
    case 'ed25519-sha256':
      return { keyType: 'ed25519', hash: 'sha256' }
    default:
      return undefined
  }
}

function parseCommon(tags: ReadonlyMap<string, string>): ParsedSignature {
  const domain = asciiDomain(tags.get('d') ?? '')
  const selector = tags.get('s') ?? ''
  if (!isDnsName(domain) || !isDnsName(selector)) return voided(tags, 'd= or s= is missing or no name')
  const algorithm = parseAlgorithm(tags.get('a') ?? '')
  if (algorithm === undefined) return voided(tags, 'unknown algorithm')
  const form = parseForm(tags.get('c') ?? 'simple/simple')
  if (form === undefined) return voided(tags, 'unknown canonicalization')
  if (!(tags.get('q') ?? 'dns/txt').split(':').some((method) => queryMethods.has(method.trim().toLowerCase())))
    return voided(tags, 'unknown query method')
  const signedNames = (tags.get('h') ?? '').split(':').map((name) => name.trim().toLowerCase())
  if (signedNames.every((name) => name === '')) return voided(tags, 'h= is missing')
  const bodyDigest = decodeBase64(tags.get('bh') ?? '')
  const signature = decodeBase64(tags.get('b') ?? '')
  if (bodyDigest === undefined || signature === undefined) return voided(tags, 'bh= or b= is missing or no base64')
  const numbers = parseNumbers(tags)
  if (numbers === undefined) return voided(tags, 'l=, t= or x= is no number')
  return {
    kind: 'signature',
    tags: {
      domain,
      selector,
      ...algorithm,
      ...form,
      signedNames,
      bodyHash: bodyDigest.toString('base64'),
      signature: signature.toString('base64'),
      identity: unquoted(tags.get('i') ?? `@${domain}`),
      ...numbers,
    },
  }
}

/** `dns` alone is what signers of the drafts write. */
const queryMethods: ReadonlySet<string> = new Set(['dns/txt', 'dns'])

/** dkim-quoted-printable (RFC 6376 §2.11), as i= is written; octets as latin1. */
function unquoted(text: string): string {
  return text
    .replaceAll(/[ \t]/g, '')
    .replaceAll(/=([0-9A-F]{2})/g, (_, octet: string) => String.fromCharCode(Number.parseInt(octet, 16)))
}

function parseForm(text: string): { readonly header: Canonicalization; readonly body: Canonicalization } | undefined {
  const [header = '', body = 'simple', ...more] = text.toLowerCase().split('/')
  return isCanonicalization(header) && isCanonicalization(body) && more.length === 0 ? { header, body } : undefined
}

function isCanonicalization(word: string): word is Canonicalization {
  return word === 'simple' || word === 'relaxed'
}

type Numbers = Pick<SignatureTags, 'bodyLimit' | 'signedAt' | 'expiresAt'>

function parseNumbers(tags: ReadonlyMap<string, string>): Numbers | undefined {
  const numbers: Record<string, number> = {}
  for (const [tag, field] of numberTags) {
    const text = tags.get(tag)
    if (text === undefined) continue
    if (!/^\d{1,76}$/.test(text)) return undefined
    numbers[field] = Number(text)
  }
  return numbers
}

const numberTags = [
  ['l', 'bodyLimit'],
  ['t', 'signedAt'],
  ['x', 'expiresAt'],
] as const

/** Letters, digits, hyphen, underscore, and UTF-8 octets (RFC 8616) in labels of at most 63. */
function isDnsName(text: string): boolean {
  return text.length > 0 && text.length <= 253 && dnsName.test(text)
}

const dnsName = /^(?:[A-Za-z0-9_\-\u0080-\u00ff]{1,63})(?:\.[A-Za-z0-9_\-\u0080-\u00ff]{1,63})*$/

function voided(tags: ReadonlyMap<string, string>, reason: string): ParsedSignature {
  const domain = tags.get('d')
  const selector = tags.get('s')
  return {
    kind: 'void',
    reason,
    ...(domain === undefined ? {} : { domain }),
    ...(selector === undefined ? {} : { selector }),
  }
}
