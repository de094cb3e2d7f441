import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

import type { ScramSecret } from '../crypt/scram-secret.ts'
import type { LoginVerdict } from './login-backend.ts'
import type { SaslStep } from './sasl-step.ts'

/** `client-first-message` of RFC 5802 section 7. */
export interface ScramHello {
  readonly user: string
  /** Empty: the user himself. */
  readonly authzid: string
  readonly header: string
  readonly bare: string
  readonly nonce: string
}

/** Undefined when it is none, wants channel binding (which is not offered), or brings an extension nobody knows. */
export function parseScramHello(message: Buffer): ScramHello | undefined {
  const match = /^([ny],(?:a=([^,]*))?,)(n=([^,]+),r=([\x21-\x2b\x2d-\x7e]+)(?:,[a-zA-Z]=[^,]+)*)$/.exec(
    message.toString('utf8'),
  )
  if (match === null) return undefined
  const [, header = '', authzid = '', bare = '', user = '', nonce = ''] = match
  const names = [user, authzid].map(plainName)
  const [plainUser, plainAuthzid] = names
  if (plainUser === undefined || plainAuthzid === undefined) return undefined
  return { user: plainUser, authzid: plainAuthzid, header, bare, nonce }
}

/**
 * The server's side of SCRAM-SHA-256 (RFC 5802, RFC 7677) without channel binding. `verdict` is given to who proves that he knows the
 * password. SMTP has no room for data beside the 235, so that the server's proof goes as a challenge that is answered by nothing.
 */
export function scramExchange(
  hello: ScramHello,
  secret: ScramSecret,
  verdict: LoginVerdict,
  serverNonce = randomBytes(18).toString('base64'),
): SaslStep {
  const nonce = `${hello.nonce}${serverNonce}`
  const first = `r=${nonce},s=${secret.salt.toString('base64')},i=${secret.iterations}`
  return challenge(first, (response) => {
    const proof = provedBy(response.toString('utf8'), hello, nonce)
    if (proof === undefined) return refused
    const message = `${hello.bare},${first},${proof.unproved}`
    const signature = createHmac('sha256', secret.storedKey).update(message).digest()
    const clientKey = Buffer.from(signature.map((octet, index) => octet ^ (proof.proof[index] ?? 0)))
    if (!timingSafeEqual(createHash('sha256').update(clientKey).digest(), secret.storedKey)) return refused
    const server = createHmac('sha256', secret.serverKey).update(message).digest('base64')
    return verdict.kind === 'accepted' ? challenge(`v=${server}`, () => verdict) : verdict
  })
}

/** For a user that is not there: the same salt at each try, and nobody's key. */
export function decoySecret(user: string, key: Buffer, iterations: number): ScramSecret {
  const part = (name: string): Buffer => createHmac('sha256', key).update(`${name}\0${user}`).digest()
  return { iterations, salt: part('salt').subarray(0, 16), storedKey: part('stored'), serverKey: part('server') }
}

const refused = { kind: 'refused' } as const

function challenge(text: string, answer: (response: Buffer) => SaslStep): SaslStep {
  return {
    kind: 'challenge',
    challenge: Buffer.from(text),
    answer: (response) => Promise.resolve(answer(response)),
    cancel: () => undefined,
  }
}

/** `client-final-message`, when it goes on with what was said before. */
function provedBy(
  message: string,
  hello: ScramHello,
  nonce: string,
): { readonly unproved: string; readonly proof: Buffer } | undefined {
  const [, unproved = '', binding = '', echoed, encoded = ''] =
    /^(c=([A-Za-z0-9+/=]+),r=([^,]+)(?:,[a-zA-Z]=[^,]+)*),p=([A-Za-z0-9+/=]+)$/.exec(message) ?? []
  const proof = Buffer.from(encoded, 'base64')
  const continues = echoed === nonce && Buffer.from(binding, 'base64').toString('utf8') === hello.header
  return continues && proof.length === 32 ? { unproved, proof } : undefined
}

/** `=2C` is a comma and `=3D` an equals sign; no other sign may follow one. */
function plainName(name: string): string | undefined {
  if (/=(?!2C|3D)/.test(name)) return undefined
  return name.replaceAll('=2C', ',').replaceAll('=3D', '=')
}
