import { createPublicKey } from 'node:crypto'
import type { KeyObject } from 'node:crypto'

import { decodeBase64, parseTagList } from './tag-list.ts'

export type KeyType = 'rsa' | 'ed25519'

/** A key record (RFC 6376 §3.6.1, RFC 8463) that may be used as far as its restrictions go. */
export interface PublicKey {
  readonly kind: 'key'
  readonly key: KeyObject
  readonly type: KeyType
  /** RSA: length of the modulus. */
  readonly bits: number
  /** h=: the hash algorithms it may be used with; absent: all. */
  readonly hashes?: readonly string[]
  /** t=s: the domain of i= must equal d=. */
  readonly strict: boolean
  /** t=y: the domain tests DKIM. */
  readonly testing: boolean
  /** g= (RFC 4871): pattern for the local part of i=; absent: any. */
  readonly granularity?: string
}

export type KeyRecord = PublicKey | { readonly kind: 'unusable'; readonly reason: string }

/** The first usable key among the TXT records of a name; parsed once for as long as the resolver keeps the answer. */
export function keyOf(records: readonly string[]): KeyRecord {
  const known = parsed.get(records)
  if (known !== undefined) return known
  const keys = records.map((record) => parseKeyRecord(record))
  const key = keys.find((one) => one.kind === 'key') ?? keys[0] ?? unusable('no key')
  parsed.set(records, key)
  return key
}

const parsed = new WeakMap<readonly string[], KeyRecord>()

export function parseKeyRecord(record: string): KeyRecord {
  const tags = parseTagList(record.replaceAll(/[\r\n]/g, ' '))
  if (tags === undefined) return unusable('key record has syntax errors')
  const version = tags.get('v')
  if (version !== undefined && version !== 'DKIM1') return unusable('unknown version of key record')
  if (!words(tags.get('s') ?? '*').some((service) => service === '*' || service === 'email'))
    return unusable('key is not for mail')
  const type = tags.get('k') ?? 'rsa'
  if (type !== 'rsa' && type !== 'ed25519') return unusable('unknown key type')
  const published = tags.get('p')
  if (published === undefined) return unusable('key record without key')
  if (published === '') return unusable('key revoked')
  const key = readKey(type, decodeBase64(published))
  if (key === undefined) return unusable('invalid public key')
  const flags = words(tags.get('t') ?? '')
  const hashes = tags.get('h')
  const granularity = tags.get('g')
  return {
    kind: 'key',
    key,
    type,
    bits: key.asymmetricKeyDetails?.modulusLength ?? 256,
    strict: flags.includes('s'),
    testing: flags.includes('y'),
    ...(hashes === undefined ? {} : { hashes: words(hashes) }),
    ...(granularity === undefined || granularity === '*' ? {} : { granularity }),
  }
}

function readKey(type: KeyType, der: Buffer | undefined): KeyObject | undefined {
  if (der === undefined) return undefined
  if (type === 'ed25519')
    return der.length === 32 ? derKey(Buffer.concat([ed25519Prefix, der]), 'spki', type) : undefined
  return derKey(der, 'spki', type) ?? derKey(der, 'pkcs1', type)
}

/** SubjectPublicKeyInfo of an Ed25519 key up to its 32 octets (RFC 8410 §4). */
const ed25519Prefix = Buffer.from('302a300506032b6570032100', 'hex')

function derKey(der: Buffer, format: 'spki' | 'pkcs1', type: KeyType): KeyObject | undefined {
  try {
    const key = createPublicKey({ key: der, format: 'der', type: format })
    return key.asymmetricKeyType === type ? key : undefined
  } catch {
    return undefined
  }
}

function words(list: string): string[] {
  return list.split(':').map((word) => word.trim())
}

function unusable(reason: string): KeyRecord {
  return { kind: 'unusable', reason }
}
