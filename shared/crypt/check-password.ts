import { timingSafeEqual } from 'node:crypto'

import { compareSync } from 'bcryptjs'

import { belongsToSecret, parseScramSecret } from './scram-secret.ts'
import { isShaCrypt, shaCrypt } from './sha-crypt.ts'

const bcryptPattern = /^\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}$/

/** Schemes a credentials table may hold: bcrypt (`$2a$ $2b$ $2y$`), SHA-256 and SHA-512 crypt (`$5$ $6$`), SCRAM-SHA-256. */
export function isPasswordHash(text: string): boolean {
  return bcryptPattern.test(text) || isShaCrypt(text) || parseScramSecret(text) !== undefined
}

/**
 * True when the password belongs to the hash. Blocks for 10 to 500 ms: for worker threads and command-line tools.
 * @throws RangeError when the hash is of no known scheme
 */
export function checkPassword(password: string, hash: string): boolean {
  if (bcryptPattern.test(hash)) return compareSync(password, hash)
  const secret = parseScramSecret(hash)
  if (secret !== undefined) return belongsToSecret(password, secret)
  return equal(shaCrypt(password, hash), hash)
}

function equal(one: string, other: string): boolean {
  const [left, right] = [Buffer.from(one), Buffer.from(other)]
  return left.length === right.length && timingSafeEqual(left, right)
}
