import { createHash, createHmac, pbkdf2Sync, randomBytes, timingSafeEqual } from 'node:crypto'

/** What a server keeps of a password for SCRAM-SHA-256 (RFC 5802 section 3, RFC 7677): nobody can log in with it elsewhere. */
export interface ScramSecret {
  readonly iterations: number
  readonly salt: Buffer
  readonly storedKey: Buffer
  readonly serverKey: Buffer
}

/** RFC 7677 section 4 asks for 4,096 at least; the client pays for them, too. */
export const scramIterations = 10_000
const maxIterations = 5_000_000

const base64 = String.raw`([A-Za-z0-9+/]+={0,2})`
/** As Dovecot writes it, and as PostgreSQL does. */
const patterns = [
  new RegExp(String.raw`^\{SCRAM-SHA-256\}(\d{1,7}),${base64},${base64},${base64}$`),
  new RegExp(String.raw`^SCRAM-SHA-256\$(\d{1,7}):${base64}\$${base64}:${base64}$`),
]

/** Undefined for anything else, such as a hash of another scheme. */
export function parseScramSecret(text: string): ScramSecret | undefined {
  const [, count, salt, stored, server] = patterns.map((pattern) => pattern.exec(text)).find(Boolean) ?? []
  if (salt === undefined || stored === undefined || server === undefined) return undefined
  const secret = {
    iterations: Number(count),
    salt: Buffer.from(salt, 'base64'),
    storedKey: Buffer.from(stored, 'base64'),
    serverKey: Buffer.from(server, 'base64'),
  }
  const sound = secret.iterations >= 1 && secret.iterations <= maxIterations
  return sound && secret.storedKey.length === 32 && secret.serverKey.length === 32 ? secret : undefined
}

/** Some 10 ms of work. */
export function scramSecretOf(
  password: string,
  salt: Buffer = randomBytes(16),
  iterations = scramIterations,
): ScramSecret {
  const salted = pbkdf2Sync(prepared(password), salt, iterations, 32, 'sha256')
  const clientKey = createHmac('sha256', salted).update('Client Key').digest()
  return {
    iterations,
    salt,
    storedKey: createHash('sha256').update(clientKey).digest(),
    serverKey: createHmac('sha256', salted).update('Server Key').digest(),
  }
}

/** As Dovecot writes it. */
export function formatScramSecret({ iterations, salt, storedKey, serverKey }: ScramSecret): string {
  const words = [salt, storedKey, serverKey].map((part) => part.toString('base64'))
  return `{SCRAM-SHA-256}${[iterations, ...words].join(',')}`
}

/** Whether a password said in clear belongs to the secret. Blocks as `scramSecretOf` does. */
export function belongsToSecret(password: string, secret: ScramSecret): boolean {
  const { storedKey } = scramSecretOf(password, secret.salt, secret.iterations)
  return timingSafeEqual(storedKey, secret.storedKey)
}

/** What SASLprep (RFC 4013) makes of a password in letters of any language; what it prohibits is left as it is. */
function prepared(password: string): string {
  return password
    .replaceAll(/[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/g, ' ')
    .replaceAll(mappedToNothing, '')
    .normalize('NFKC')
}

/** RFC 3454 table B.1. */
const mappedToNothing = /\u00ad|\u034f|\u1806|[\u180b-\u180d]|\u200c|\u200d|\u2060|[\ufe00-\ufe0f]|\ufeff/gu
