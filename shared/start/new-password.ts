import { randomBytes } from 'node:crypto'

/** 144 random bits, in letters that need no quotes anywhere. */
export function newPassword(): string {
  return randomBytes(18).toString('base64url')
}
