import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'

/**
 * What a token of the API may do: look, change queues, change messages, read what operators did, teach the classifier, read what messages say,
 * make, replace and remove DKIM keys, try configurations.
 */
export type Scope = 'read' | 'queues' | 'messages' | 'audit' | 'learn' | 'content' | 'keys' | 'configuration'

export const scopes: readonly Scope[] = [
  'read',
  'queues',
  'messages',
  'audit',
  'learn',
  'content',
  'keys',
  'configuration',
]

/** A token as a table holds it. */
export interface ApiToken {
  readonly scopes: ReadonlySet<Scope>
  /** SHA-256 of the token's secret part, hex: it is 256 random bits, so nothing slower is needed. */
  readonly digest: string
}

const entryPattern = /^([a-z,]+):([0-9a-f]{64})$/
const tokenPattern = /^([a-z0-9][a-z0-9_-]{0,63})\.([\w-]{43})$/

/** `read,queues:DIGEST`; undefined: it is not. */
export function parseApiToken(value: string): ApiToken | undefined {
  const [, words, digest] = entryPattern.exec(value) ?? []
  if (words === undefined || digest === undefined) return undefined
  const named = words.split(',').map((word) => scopes.find((one) => one === word))
  const known = named.filter((one) => one !== undefined)
  return known.length === named.length ? { scopes: new Set(known), digest } : undefined
}

/** A name and a secret, as a client sends them: `backup.SECRET`; undefined: it is no token. */
export function splitToken(token: string): { readonly name: string; readonly secret: string } | undefined {
  const [, name, secret] = tokenPattern.exec(token) ?? []
  return name === undefined || secret === undefined ? undefined : { name, secret }
}

export function isSecretOf({ digest }: ApiToken, secret: string): boolean {
  return timingSafeEqual(Buffer.from(digest, 'hex'), createHash('sha256').update(secret).digest())
}

/** A new token, and its entry in the table; the token itself is kept nowhere. @throws RangeError when the name cannot be one */
export function makeToken(name: string, of: readonly Scope[]): { readonly token: string; readonly entry: string } {
  const secret = randomBytes(32).toString('base64url')
  const token = `${name}.${secret}`
  if (splitToken(token) === undefined)
    throw new RangeError('a token has a name of at most 64 small letters, digits, "-" and "_"')
  return { token, entry: `${[...new Set(of)].join(',')}:${createHash('sha256').update(secret).digest('hex')}` }
}
