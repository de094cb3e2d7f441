import { createHmac, createSecretKey, hkdfSync } from 'node:crypto'
import type { KeyObject } from 'node:crypto'

/**
 * The keys of the spool. The first one writes when the spool encrypts; all of them read. What is written is never encrypted with such a
 * key itself but with one derived from it for each file, so that a record is bound to the file it was written to, and random
 * nonces do not run out however much is written.
 */
export class Keyring {
  readonly #keys: ReadonlyMap<string, SpoolKey>

  constructor(secrets: readonly Buffer[]) {
    this.#keys = new Map(secrets.map((secret) => new SpoolKey(secret)).map((key) => [key.id, key]))
  }

  /** The key that writes; `undefined` of an empty ring. */
  get first(): SpoolKey | undefined {
    return this.#keys.values().next().value
  }

  get ids(): readonly string[] {
    return [...this.#keys.keys()]
  }

  find(id: string): SpoolKey | undefined {
    return this.#keys.get(id)
  }
}

export class SpoolKey {
  /** 16 hex digits: names the key without telling it. */
  readonly id: string
  readonly #secret: Buffer
  readonly #derived = new Map<string, KeyObject>()

  constructor(secret: Buffer) {
    if (secret.length !== secretBytes) throw new RangeError(`a key has ${secretBytes} octets`)
    this.#secret = secret
    this.id = createHmac('sha256', secret)
      .update('sluice spool key id')
      .digest('hex')
      .slice(0, keyIdBytes * 2)
  }

  /** The key of one file; those used last are remembered. */
  forFile(path: string): KeyObject {
    const known = this.#derived.get(path)
    if (known !== undefined) return known
    const bytes = hkdfSync('sha256', this.#secret, '', `sluice spool file ${path}`, secretBytes)
    const key = createSecretKey(Buffer.from(bytes))
    for (const oldest of this.#derived.keys()) {
      if (this.#derived.size < rememberedFiles) break
      this.#derived.delete(oldest)
    }
    this.#derived.set(path, key)
    return key
  }
}

/** Octets of a key's name on disk. */
export const keyIdBytes = 8

const secretBytes = 32
const rememberedFiles = 256

/**
 * Reads a key file: one key a line, the first one writes. A key is 64 hex digits (`openssl rand -hex 32`), or 32 characters as in
 * smtpd.conf. Empty lines and those that begin with `#` are left out.
 * @throws RangeError naming the line, never its text
 */
export function parseKeyFile(text: string): readonly Buffer[] {
  const secrets = text.split('\n').flatMap((line, index) => {
    const trimmed = line.trim()
    if (trimmed === '' || trimmed.startsWith('#')) return []
    const secret = parseKey(trimmed)
    if (secret === undefined) throw new RangeError(`line ${index + 1} is no key: ${keyShape}`)
    return [secret]
  })
  if (secrets.length === 0) throw new RangeError(`there is no key in it: ${keyShape}`)
  return secrets
}

function parseKey(text: string): Buffer | undefined {
  if (/^[0-9a-fA-F]{64}$/.test(text)) return Buffer.from(text, 'hex')
  const octets = Buffer.from(text)
  return octets.length === secretBytes ? octets : undefined
}

const keyShape = '64 hex digits (openssl rand -hex 32) or 32 characters'

/** A record is encrypted with a key that this process was not given. Not damage: it can be read as soon as the key is there. */
export class SpoolKeyError extends Error {
  override readonly name = 'SpoolKeyError'
}
