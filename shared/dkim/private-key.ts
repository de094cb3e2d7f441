import { createPrivateKey, createPublicKey } from 'node:crypto'
import type { KeyObject } from 'node:crypto'

import type { KeyType } from './public-key.ts'

export interface PrivateKey {
  readonly key: KeyObject
  readonly type: KeyType
}

/**
 * Reads a private key in PEM (PKCS #8 or PKCS #1).
 * @throws Error when it is no key, or neither RSA of at least 1024 bits nor Ed25519. The message never holds the key.
 */
export function readPrivateKey(pem: string): PrivateKey {
  const key = decode(pem)
  const type = key.asymmetricKeyType
  if (type !== 'rsa' && type !== 'ed25519') throw new Error(`a DKIM key is RSA or Ed25519, this one is ${type}`)
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0
  if (type === 'rsa' && bits < 1024) throw new Error(`an RSA key of ${bits} bits is too short for DKIM (1024 at least)`)
  return { key, type }
}

/** p= of the key record: SubjectPublicKeyInfo for RSA (RFC 6376 §3.6.1), the 32 octets for Ed25519 (RFC 8463 §4). */
export function publishedKey(key: PrivateKey): string {
  const der = createPublicKey(key.key).export({ type: 'spki', format: 'der' })
  return (key.type === 'ed25519' ? der.subarray(-32) : der).toString('base64')
}

function decode(pem: string): KeyObject {
  try {
    return createPrivateKey(pem)
  } catch (error) {
    throw new Error('not a private key in PEM format', { cause: error })
  }
}
