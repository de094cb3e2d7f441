import { createCipheriv, createDecipheriv, randomFillSync } from 'node:crypto'

import { SpoolKeyError, keyIdBytes } from './keyring.ts'
import type { Keyring, SpoolKey } from './keyring.ts'

/** Octets that go with what is encrypted: name of the key, nonce, tag. */
export const sealBytes = keyIdBytes + 12 + 16

/** What is encrypted, and what stands beside it in clear and must not change either. */
export interface Sealed {
  /** `sealBytes` octets. */
  readonly seal: Buffer
  readonly octets: Buffer
  /** Path of the file below the spool folder, as it was when it was written. */
  readonly file: string
  readonly bound: readonly Buffer[]
}

/**
 * Encrypts with AES-256-GCM under the file's key, with a random nonce. Fills `seal`; returns the encrypted octets, as many as went in.
 * `bound` stays in clear; whoever changes it, or moves all of it to another file, makes it unreadable.
 */
export function seal(
  key: SpoolKey,
  { seal: into, octets, file, bound }: Omit<Sealed, 'octets'> & { readonly octets: readonly Buffer[] },
): readonly Buffer[] {
  into.write(key.id, 0, keyIdBytes, 'hex')
  const nonce = randomFillSync(nonceOf(into))
  const cipher = createCipheriv(algorithm, key.forFile(file), nonce)
  cipher.setAAD(Buffer.concat(bound))
  const encrypted = octets.map((piece) => cipher.update(piece))
  cipher.final()
  cipher.getAuthTag().copy(tagOf(into))
  return encrypted
}

/** @throws SpoolKeyError when the key is not in the ring; Error when anything was changed */
export function unseal(keyring: Keyring, { seal: from, octets, file, bound }: Sealed): Buffer {
  const key = keyring.find(keyIdOf(from))
  if (key === undefined) throw new SpoolKeyError(`${file} needs the key ${keyIdOf(from)}, which is not known here`)
  const decipher = createDecipheriv(algorithm, key.forFile(file), nonceOf(from))
  decipher.setAAD(Buffer.concat(bound))
  decipher.setAuthTag(tagOf(from))
  const plain = decipher.update(octets)
  decipher.final()
  return plain
}

/** The name of the key, in hex. */
export function keyIdOf(seal: Buffer): string {
  return seal.toString('hex', 0, keyIdBytes)
}

const algorithm = 'aes-256-gcm'

function nonceOf(seal: Buffer): Buffer {
  return seal.subarray(keyIdBytes, keyIdBytes + 12)
}

function tagOf(seal: Buffer): Buffer {
  return seal.subarray(keyIdBytes + 12, sealBytes)
}
