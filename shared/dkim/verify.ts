import { createHash, verify } from 'node:crypto'

import type { LookUp } from '../resolver.ts'
import type { Prepared } from './prepare.ts'
import type { PublicKey } from './public-key.ts'
import { keyOf } from './public-key.ts'
import type { SignatureTags } from './signature.ts'

/** Result of one signature in the words of RFC 8601 §2.7.1. */
export interface SignatureResult {
  readonly result: 'pass' | 'fail' | 'policy' | 'neutral' | 'temperror' | 'permerror'
  readonly reason?: string
  readonly domain?: string
  readonly selector?: string
  readonly identity?: string
  /** `rsa-sha256` */
  readonly algorithm?: string
  /** First characters of b=, to tell signatures apart (RFC 6008). */
  readonly signature?: string
  readonly keyBits?: number
  /** Octets of the body that l= leaves unsigned. */
  readonly unsignedOctets?: number
  readonly testing?: boolean
}

export interface VerifyOptions {
  readonly txt: (name: string) => Promise<LookUp<string>>
  /** Epoch ms that x= is compared with: the time of acceptance, so that waiting in a queue changes no verdict. */
  readonly atMs: number
  /** What verifies with a shorter RSA key is `policy` (RFC 8301 §3.2, RFC 8601 §2.7.1); 1024 when left out. */
  readonly minKeyBits?: number
}

/** Checks one prepared signature with the key from DNS. A DNS failure is `temperror`, never a fail. */
export async function verifySignature(prepared: Prepared, options: VerifyOptions): Promise<SignatureResult> {
  if (prepared.kind === 'void') {
    const { domain, selector, reason } = prepared
    return {
      result: 'neutral',
      reason,
      ...(domain === undefined ? {} : { domain }),
      ...(selector === undefined ? {} : { selector }),
    }
  }
  const { tags, unsignedOctets } = prepared
  const about = {
    domain: tags.domain,
    selector: tags.selector,
    identity: tags.identity,
    algorithm: `${tags.keyType}-${tags.hash}`,
    signature: tags.signature.slice(0, 8),
    ...(unsignedOctets === 0 ? {} : { unsignedOctets }),
  }
  if (!prepared.bodyMatches) return { ...about, result: 'fail', reason: 'body hash did not verify' }
  const answer = await options.txt(`${tags.selector}._domainkey.${tags.domain}`)
  switch (answer.kind) {
    case 'failed':
      return { ...about, result: 'temperror', reason: 'key could not be looked up' }
    case 'absent':
      return { ...about, result: 'permerror', reason: 'no key' }
    case 'found': {
      const key = keyOf(answer.records)
      if (key.kind === 'unusable') return { ...about, result: 'permerror', reason: key.reason }
      return {
        ...about,
        keyBits: key.bits,
        ...(key.testing ? { testing: true } : {}),
        ...check(prepared, key, options),
      }
    }
  }
}

type Outcome = Pick<SignatureResult, 'result' | 'reason'>

function check(prepared: Extract<Prepared, { kind: 'prepared' }>, key: PublicKey, options: VerifyOptions): Outcome {
  const { tags } = prepared
  const restriction = restrictionOf(key, tags)
  if (restriction !== undefined) return { result: 'permerror', reason: restriction }
  if (!isGenuine(tags, prepared.signed, key)) return { result: 'fail', reason: 'signature did not verify' }
  if (key.type === 'rsa' && key.bits < (options.minKeyBits ?? 1024)) return { result: 'policy', reason: 'weak key' }
  const { signedAt, expiresAt } = tags
  if (expiresAt === undefined) return { result: 'pass' }
  if (signedAt !== undefined && expiresAt < signedAt) return { result: 'neutral', reason: 'x= is before t=' }
  return expiresAt * 1000 < options.atMs ? { result: 'neutral', reason: 'signature expired' } : { result: 'pass' }
}

/** Why the key may not be used for this signature (RFC 6376 §3.6.1). */
function restrictionOf(key: PublicKey, tags: SignatureTags): string | undefined {
  if (key.type !== tags.keyType) return 'key is of another type'
  if (key.hashes !== undefined && !key.hashes.includes(tags.hash)) return 'key is not for this hash algorithm'
  const at = tags.identity.lastIndexOf('@')
  if (key.strict && tags.identity.slice(at + 1).toLowerCase() !== tags.domain) return 'key is for its own domain only'
  if (key.granularity !== undefined && !matchesGranularity(key.granularity, tags.identity.slice(0, Math.max(at, 0))))
    return 'key is for other local parts'
  return undefined
}

/** g= of RFC 4871 §3.6.1: at most one `*`; an empty pattern matches nothing. */
function matchesGranularity(pattern: string, local: string): boolean {
  const star = pattern.indexOf('*')
  if (star < 0) return pattern !== '' && pattern === local
  const [head, tail] = [pattern.slice(0, star), pattern.slice(star + 1)]
  return local.length >= head.length + tail.length && local.startsWith(head) && local.endsWith(tail)
}

function isGenuine(tags: SignatureTags, signed: Uint8Array, key: PublicKey): boolean {
  const signature = Buffer.from(tags.signature, 'base64')
  try {
    return key.type === 'rsa'
      ? verify(tags.hash, signed, key.key, signature)
      : // RFC 8463 §3: Ed25519 signs the hash of the octets.
        verify(undefined, createHash('sha256').update(signed).digest(), key.key, signature)
  } catch {
    return false
  }
}
