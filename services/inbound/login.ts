import { isExternal } from '../../shared/config/external-table.ts'
import { settle } from '../../shared/config/settle.ts'
import type { TableSet } from '../../shared/config/tables.ts'
import type { Table } from '../../shared/config/model.ts'
import type { PasswordVerifier } from '../../shared/crypt/verify-password.ts'
import type { Logger } from '../../shared/log.ts'
import { clientOf } from './connection-counter.ts'

/** `unavailable`: nobody can say now (454); never a wrong password. */
export type LoginResult = 'accepted' | 'refused' | 'unavailable' | 'blocked'

export interface Login {
  check(user: string, password: string, address: string): Promise<LoginResult>
}

export type LoginTables = Pick<TableSet, 'passwordHash' | 'entries' | 'answering'>

/** An external table cannot be asked for some user's: as costly as most are, and nobody's password. */
const nobodysHash = '$2b$10$abcdefghijklmnopqrstuuMWcmIQRpYqEBqXbYwQxUuCbrAxUuNm.'

export interface LoginOptions {
  readonly table: Table | undefined
  readonly tables: LoginTables
  readonly verifier: Pick<PasswordVerifier, 'verify'>
  readonly guard: LoginGuard
  readonly log: Logger
}

/** Logins against a table of credentials. An unknown user costs the same work as a wrong password. */
export function createLogin(options: LoginOptions): Login {
  const { table, tables, verifier, guard, log } = options

  async function compare(credentials: Table, user: string, password: string): Promise<LoginResult> {
    const { hash, likely } = await settle(tables, (settled) => hashesOf(settled, credentials, user))
    if (likely === undefined) return 'refused'
    const matches = await verifier.verify(password, likely)
    return matches && hash !== undefined ? 'accepted' : 'refused'
  }

  return {
    async check(user, password, address) {
      if (table === undefined) return 'unavailable'
      if (guard.isBlocked(address)) return 'blocked'
      try {
        const result = await compare(table, user, password)
        if (result === 'refused') guard.failed(address)
        return result
      } catch (error) {
        log.error({ err: error, table: table.name }, 'login cannot be checked')
        return 'unavailable'
      }
    },
  }
}

/** `likely`: one to compare with for a user that is not there; absent: there are no users. */
function hashesOf(tables: LoginTables, credentials: Table, user: string) {
  const hash = tables.passwordHash(credentials, user)
  if (hash !== undefined) return { hash, likely: hash }
  if (isExternal(credentials)) return { hash, likely: nobodysHash }
  const [somebody] = tables.entries(credentials)
  return { hash, likely: somebody === undefined ? undefined : tables.passwordHash(credentials, somebody) }
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
