import { randomInt } from 'node:crypto'

import { hash } from 'bcryptjs'

import { formatScramSecret, scramSecretOf } from './scram-secret.ts'
import { shaCrypt } from './sha-crypt.ts'

export type PasswordScheme = 'sha512' | 'bcrypt' | 'scram'

const saltAlphabet = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
/** Drepper's default of 2008 is 5,000; this is about 0.1 s. */
const shaRounds = 50_000
const bcryptCost = 11

/** A hash for a credentials table. `sha512` is what crypt(3) of Debian reads too; bcrypt looks at 72 octets of the password at most. */
export async function hashPassword(password: string, scheme: PasswordScheme): Promise<string> {
  if (password === '') throw new RangeError('the password is empty')
  switch (scheme) {
    case 'sha512':
      return shaCrypt(password, `$6$rounds=${shaRounds}$${salt()}`)
    case 'bcrypt':
      if (Buffer.byteLength(password) > 72) throw new RangeError('bcrypt takes at most 72 octets: use sha512')
      return hash(password, bcryptCost)
    case 'scram':
      return formatScramSecret(scramSecretOf(password))
  }
}

function salt(): string {
  return Array.from({ length: 16 }, () => saltAlphabet[randomInt(64)]).join('')
}
