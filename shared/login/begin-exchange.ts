import type { SaslMechanism } from '../config/model.ts'
import { scramIterations } from '../crypt/scram-secret.ts'
import { parseBearer } from './bearer.ts'
import type { LoginBackend, LoginClient } from './login-backend.ts'
import type { SaslStep } from './sasl-step.ts'
import { decoySecret, parseScramHello, scramExchange } from './scram.ts'

/** Mechanisms whose proof is more than a password. */
export type ExchangeMechanism = Exclude<SaslMechanism, 'PLAIN' | 'LOGIN'>

export interface ExchangeParts {
  readonly backends: readonly LoginBackend[]
  readonly decoyKey: Buffer
  /** Told of each that is away. */
  readonly report: (backend: string, error: unknown) => void
}

/** Begins with the back end that can go on; undefined: none refused, and one that might have accepted is away. */
export function beginExchange(
  mechanism: ExchangeMechanism,
  initial: Buffer,
  client: LoginClient,
  parts: ExchangeParts,
): Promise<SaslStep | undefined> {
  switch (mechanism) {
    case 'SCRAM-SHA-256':
      return beginScram(initial, client, parts)
    case 'OAUTHBEARER':
    case 'XOAUTH2':
      return beginBearer(mechanism, initial, client, parts)
  }
}

const refused = { kind: 'refused' } as const

/** By the secret of the first table that has one, else by a back end that leads the exchange itself, else by nobody's secret. */
async function beginScram(
  initial: Buffer,
  client: LoginClient,
  { backends, decoyKey, report }: ExchangeParts,
): Promise<SaslStep | undefined> {
  const hello = parseScramHello(initial)
  if (hello === undefined) return refused
  let away = false
  for (const backend of backends) {
    try {
      const secret = await backend.scramSecret?.(hello.user)
      if (secret !== undefined) return scramExchange(hello, secret, { kind: 'accepted', user: hello.user })
      if (backend.begin !== undefined) return await backend.begin('SCRAM-SHA-256', initial, client)
    } catch (error) {
      report(backend.name, error)
      away = true
    }
  }
  return away ? undefined : scramExchange(hello, decoySecret(hello.user, decoyKey, scramIterations), refused)
}

async function beginBearer(
  mechanism: 'OAUTHBEARER' | 'XOAUTH2',
  initial: Buffer,
  client: LoginClient,
  { backends, report }: ExchangeParts,
): Promise<SaslStep | undefined> {
  const claim = parseBearer(mechanism, initial)
  if (claim === undefined) return refused
  let away = false
  for (const backend of backends) {
    try {
      const step =
        (await backend.checkToken?.(claim.token, claim.user)) ?? (await backend.begin?.(mechanism, initial, client))
      if (step !== undefined && step.kind !== 'refused') return step
    } catch (error) {
      report(backend.name, error)
      away = true
    }
  }
  return away ? undefined : invalidToken
}

/** RFC 7628 section 3.2.2: the error first, which the client acknowledges. */
const invalidToken: SaslStep = {
  kind: 'challenge',
  challenge: Buffer.from('{"status":"invalid_token"}'),
  answer: () => Promise.resolve(refused),
  cancel: () => undefined,
}
