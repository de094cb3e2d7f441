import type { SaslMechanism } from '../../shared/config/model.ts'
import { beginExchange } from '../../shared/login/begin-exchange.ts'
import type { ExchangeMechanism } from '../../shared/login/begin-exchange.ts'
import { clientOf } from '../../shared/client-of.ts'
import type { LoginBackend, LoginClient } from '../../shared/login/login-backend.ts'
import type { SaslStep } from '../../shared/login/sasl-step.ts'
import type { Logger } from '../../shared/log.ts'

/** `unavailable`: nobody can say now (454); never a wrong password. */
export type LoginResult =
  | { readonly kind: 'accepted'; readonly user: string }
  | { readonly kind: 'refused' | 'unavailable' | 'blocked' }

/** Where an exchange of several steps stands. */
export type LoginStep =
  | LoginResult
  | {
      readonly kind: 'challenge'
      readonly challenge: Buffer
      answer(response: Buffer): Promise<LoginStep>
      cancel(): void
    }

export interface Login {
  /** In the order they are offered; empty: nobody can log in here. */
  readonly mechanisms: readonly SaslMechanism[]
  check(user: string, password: string, client: LoginClient): Promise<LoginResult>
  /** @param initial the client's first message */
  begin(mechanism: ExchangeMechanism, initial: Buffer, client: LoginClient): Promise<LoginStep>
}

export interface LoginOptions {
  /** The first that accepts lets in. Empty: nobody can say. */
  readonly backends: readonly LoginBackend[]
  readonly mechanisms: readonly SaslMechanism[]
  /** Of this process: users that are not there look the same each time. */
  readonly decoyKey: Buffer
  readonly guard: LoginGuard
  readonly log: Logger
}

/** Logins against the back ends of a listener, in their order. */
export function createLogin({ backends, mechanisms, decoyKey, guard, log }: LoginOptions): Login {
  const report = (backend: string, error: unknown): void =>
    log.error({ err: error, backend }, 'login cannot be checked')

  /** Follows an exchange to its end. */
  async function counted(step: Promise<SaslStep | undefined>, address: string): Promise<LoginStep> {
    const reached = await step.catch((error: unknown) => {
      report('exchange', error)
      return undefined
    })
    if (reached === undefined) return { kind: 'unavailable' }
    if (reached.kind === 'refused') guard.failed(address)
    if (reached.kind !== 'challenge') return reached
    const { challenge, cancel } = reached
    return { kind: 'challenge', challenge, cancel, answer: (response) => counted(reached.answer(response), address) }
  }

  return {
    mechanisms,
    async check(user, password, client) {
      if (guard.isBlocked(client.address)) return { kind: 'blocked' }
      let unavailable = backends.length === 0
      for (const backend of backends) {
        try {
          const verdict = await backend.checkPassword?.(user, password, client)
          if (verdict?.kind === 'accepted') return verdict
        } catch (error) {
          report(backend.name, error)
          unavailable = true
        }
      }
      // One that is away might have accepted.
      if (unavailable) return { kind: 'unavailable' }
      guard.failed(client.address)
      return { kind: 'refused' }
    },
    async begin(mechanism, initial, client) {
      if (guard.isBlocked(client.address)) return { kind: 'blocked' }
      return counted(beginExchange(mechanism, initial, client, { backends, decoyKey, report }), client.address)
    },
  }
}

/** Failed logins by client over all its connections: after `limit` of them in `periodMs` its logins are not even looked at. */
export class LoginGuard {
  readonly #limit: number
  readonly #periodMs: number
  readonly #now: () => number
  readonly #failures = new Map<string, { count: number; until: number }>()

  constructor(now: () => number, limit = 20, periodMs = 600_000) {
    this.#now = now
    this.#limit = limit
    this.#periodMs = periodMs
  }

  isBlocked(address: string): boolean {
    const known = this.#failures.get(clientOf(address))
    return known !== undefined && known.until > this.#now() && known.count >= this.#limit
  }

  failed(address: string): void {
    const client = clientOf(address)
    const known = this.#failures.get(client)
    const now = this.#now()
    if (known !== undefined && known.until > now) {
      known.count += 1
      return
    }
    this.#failures.delete(client)
    this.#failures.set(client, { count: 1, until: now + this.#periodMs })
    this.#forgetExpired(now)
  }

  #forgetExpired(now: number): void {
    for (const [client, { until }] of this.#failures) {
      if (until > now && this.#failures.size < 100_000) return
      this.#failures.delete(client)
    }
  }
}
