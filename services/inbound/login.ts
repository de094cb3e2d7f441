import type { LoginBackend, LoginClient } from '../../shared/login/login-backend.ts'
import type { Logger } from '../../shared/log.ts'
import { clientOf } from './connection-counter.ts'

/** `unavailable`: nobody can say now (454); never a wrong password. */
export type LoginResult =
  | { readonly kind: 'accepted'; readonly user: string }
  | { readonly kind: 'refused' | 'unavailable' | 'blocked' }

export interface Login {
  check(user: string, password: string, client: LoginClient): Promise<LoginResult>
}

export interface LoginOptions {
  /** The first that accepts lets in. Empty: nobody can say. */
  readonly backends: readonly LoginBackend[]
  readonly guard: LoginGuard
  readonly log: Logger
}

/** Logins against the back ends of a listener, in their order. */
export function createLogin({ backends, guard, log }: LoginOptions): Login {
  return {
    async check(user, password, client) {
      if (guard.isBlocked(client.address)) return { kind: 'blocked' }
      let unavailable = backends.length === 0
      for (const backend of backends) {
        try {
          const verdict = await backend.checkPassword(user, password, client)
          if (verdict.kind === 'accepted') return verdict
        } catch (error) {
          log.error({ err: error, backend: backend.name }, 'login cannot be checked')
          unavailable = true
        }
      }
      // One that is away might have accepted.
      if (unavailable) return { kind: 'unavailable' }
      guard.failed(client.address)
      return { kind: 'refused' }
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
