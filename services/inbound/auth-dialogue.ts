import type { SaslMechanism } from '../../shared/config/model.ts'
import { parseBearer } from '../../shared/login/bearer.ts'
import type { Reply } from '../../shared/mail/reply.ts'
import type { ExchangeMechanism } from '../../shared/login/begin-exchange.ts'
import type { LoginClient } from '../../shared/login/login-backend.ts'
import { parseScramHello } from '../../shared/login/scram.ts'
import type { Login, LoginResult } from './login.ts'

/** Who a client says he is, and how he proves it. */
export type Claim = {
  readonly user: string
  /** As whom he wants to act; empty: as himself. */
  readonly authzid: string
} & (
  | { readonly kind: 'password'; readonly password: string }
  | { readonly kind: 'exchange'; readonly mechanism: ExchangeMechanism; readonly initial: Buffer }
)

/** What a client said is no step of the exchange, or ends it; with the reply that RFC 4954 sections 4 and 6 ask for. */
export class SaslFault extends Error {
  override readonly name = 'SaslFault'
  readonly reply: Reply

  constructor(text: string, { code = 501, enhanced = '5.5.2' }: Partial<Reply> = {}) {
    super(text)
    this.reply = { code, enhanced, text }
  }
}

/** The lines behind one AUTH. */
export class AuthDialogue {
  readonly #ask: (challenge: string) => void
  #waiting: { readonly resolve: (response: Buffer) => void; readonly reject: (error: Error) => void } | undefined

  /** @param ask sends a challenge, in base64 */
  constructor(ask: (challenge: string) => void) {
    this.#ask = ask
  }

  /** @throws SaslFault: it is no base64, the client gives up, or has gone */
  prompt(challenge: Buffer | string): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
      this.#ask(Buffer.from(challenge).toString('base64'))
    })
  }

  take(line: string): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    try {
      waiting?.resolve(responseIn(line))
    } catch (error) {
      waiting?.reject(error as SaslFault)
    }
  }

  /** The client sent a line that is longer than any. */
  refuseLine(): void {
    this.#give(new SaslFault('Authentication exchange line is too long', { code: 500, enhanced: '5.5.6' }))
  }

  end(): void {
    this.#give(new SaslFault('The client has gone'))
  }

  #give(fault: SaslFault): void {
    this.#waiting?.reject(fault)
    this.#waiting = undefined
  }
}

/** An initial response: `=` is an empty one. @throws SaslFault */
export function initialResponse(word: string | undefined): Buffer | undefined {
  return word === undefined ? undefined : word === '=' ? Buffer.alloc(0) : responseIn(word)
}

/** @throws SaslFault */
function responseIn(line: string): Buffer {
  if (line === '*') throw new SaslFault('Authentication aborted', { enhanced: '5.7.0' })
  if (line.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(line)) throw new SaslFault('Invalid base64')
  return Buffer.from(line, 'base64')
}

/** @throws SaslFault */
export async function readClaim(
  mechanism: SaslMechanism,
  initial: Buffer | undefined,
  dialogue: Pick<AuthDialogue, 'prompt'>,
): Promise<Claim> {
  switch (mechanism) {
    case 'PLAIN':
      return plainClaim(initial ?? (await dialogue.prompt('')))
    case 'LOGIN': {
      const user = text(initial ?? (await dialogue.prompt('Username:')))
      const password = text(await dialogue.prompt('Password:'))
      return { kind: 'password', user, authzid: '', password }
    }
    case 'SCRAM-SHA-256': {
      const first = initial ?? (await dialogue.prompt(''))
      const hello = parseScramHello(first)
      if (hello === undefined) throw new SaslFault('Malformed SCRAM message')
      return { kind: 'exchange', mechanism, initial: first, user: checked(hello.user), authzid: hello.authzid }
    }
    case 'OAUTHBEARER':
    case 'XOAUTH2': {
      const first = initial ?? (await dialogue.prompt(''))
      const claim = parseBearer(mechanism, first)
      if (claim === undefined) throw new SaslFault('Malformed token')
      return { kind: 'exchange', mechanism, initial: first, user: checked(claim.user), authzid: '' }
    }
  }
}

/** Asks the back ends, and the client as long as they want to know more. */
export async function prove(
  claim: Claim,
  login: Login,
  client: LoginClient,
  dialogue: Pick<AuthDialogue, 'prompt'>,
): Promise<LoginResult> {
  if (claim.kind === 'password') return login.check(claim.user, claim.password, client)
  let step = await login.begin(claim.mechanism, claim.initial, client)
  while (step.kind === 'challenge') {
    const { challenge, answer, cancel } = step
    const response = await dialogue.prompt(challenge).catch((error: unknown) => {
      cancel()
      throw error
    })
    step = await answer(response)
  }
  return step
}

/** RFC 4616 section 2: authzid, authcid and password, divided by NUL. */
function plainClaim(message: Buffer): Claim {
  const [authzid, user, password, ...more] = message.toString('utf8').split('\0')
  if (authzid === undefined || user === undefined || password === undefined || more.length > 0)
    throw new SaslFault('Malformed PLAIN message')
  return { kind: 'password', user: checked(user), authzid, password: checked(password) }
}

function text(response: Buffer): string {
  return checked(response.toString('utf8'))
}

/** Neither a name nor a password has control characters: they would be lines and fields elsewhere. */
function checked(word: string): string {
  if (/[\0-\x1f\x7f]/.test(word)) throw new SaslFault('Control characters are not allowed')
  return word
}
