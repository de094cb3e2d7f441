import type { Clock } from '../../shared/clock.ts'
import { isExternal } from '../../shared/config/external-table.ts'
import type { Table } from '../../shared/config/model.ts'
import { parseOperator } from '../../shared/config/operators.ts'
import type { Operator } from '../../shared/config/operators.ts'
import { settle } from '../../shared/config/settle.ts'
import type { TableSet } from '../../shared/config/tables.ts'
import type { PasswordVerifier } from '../../shared/crypt/verify-password.ts'
import type { Logger } from '../../shared/log.ts'
import { AttemptLimit } from './attempt-limit.ts'
import { householdOf } from './client-address.ts'

export type SignInResult =
  | { readonly kind: 'signed in'; readonly name: string; readonly credential: string; readonly operator: Operator }
  /** `known`: there is somebody of that name; for the audit log, never for the page. */
  | { readonly kind: 'refused'; readonly known: boolean }
  | { readonly kind: 'too many'; readonly waitMs: number }
  /** Nobody can say now; never a wrong password. */
  | { readonly kind: 'unavailable' }

export type OperatorTables = Pick<TableSet, 'passwordHash' | 'entries' | 'answering'>

export interface SignInParts {
  /** The one in force. */
  operators(): Table | undefined
  readonly tables: OperatorTables
  readonly verifier: Pick<PasswordVerifier, 'verify'>
  readonly clock: Clock
  readonly log: Logger
}

export interface SignIn {
  check(name: string, password: string, address: string): Promise<SignInResult>
  /** What the table says of somebody now; undefined: he may not sign in any more. @throws TableError when nobody can say */
  operator(name: string): Promise<(Operator & { readonly credential: string }) | undefined>
}

const periodMs = 10 * 60_000
const perAddress = 10
const perName = 30
const longestName = 128
/** Where operators signed in from before. */
const mostPlaces = 1_000
/** An external table cannot be asked for some user's: as costly as most are, and nobody's password. */
const nobodysHash = '$2b$10$abcdefghijklmnopqrstuuMWcmIQRpYqEBqXbYwQxUuCbrAxUuNm.'

/** Names and passwords of operators. An unknown name costs the same work as a wrong password, and gets the same answer. */
export function createSignIn({ operators, tables, verifier, clock, log }: SignInParts): SignIn {
  const addresses = new AttemptLimit(() => clock.now(), perAddress, periodMs)
  const names = new AttemptLimit(() => clock.now(), perName, periodMs)
  /** `name household`, the oldest first: who guesses a name from everywhere else keeps its owner out of nothing. */
  const places = new Set<string>()

  function keepPlace(place: string): void {
    places.delete(place)
    places.add(place)
    for (const oldest of places) {
      if (places.size <= mostPlaces) return
      places.delete(oldest)
    }
  }

  async function compare(table: Table, name: string, password: string): Promise<SignInResult> {
    const { credential, likely } = await settle(tables, (settled) => credentialsOf(settled, table, name))
    const operator = credential === undefined ? undefined : parseOperator(credential)
    if (credential !== undefined && operator === undefined)
      log.error({ table: table.name, name }, 'the operator has neither a password hash nor a role and a hash')
    const matches = await verifier.verify(password, operator?.hash ?? likely)
    if (!matches || operator === undefined || credential === undefined)
      return { kind: 'refused', known: operator !== undefined }
    return { kind: 'signed in', name, credential, operator }
  }

  return {
    async check(given, password, address) {
      const table = operators()
      if (table === undefined) return { kind: 'unavailable' }
      const name = given.toLowerCase()
      const household = householdOf(address)
      const place = `${name} ${household}`
      const isCounted = name.length <= longestName && !places.has(place)
      const waitMs = Math.max(addresses.take(household), isCounted ? names.take(name) : 0)
      if (waitMs > 0) return { kind: 'too many', waitMs }
      try {
        const result = await compare(table, name.slice(0, longestName + 1), password)
        if (result.kind === 'signed in') {
          addresses.forget(household)
          names.forget(name)
          keepPlace(place)
        }
        return result
      } catch (error) {
        log.error({ err: error, table: table.name }, 'a sign-in cannot be checked')
        return { kind: 'unavailable' }
      }
    },
    async operator(name) {
      const table = operators()
      if (table === undefined) return undefined
      const credential = await settle(tables, (settled) => settled.passwordHash(table, name))
      const operator = credential === undefined ? undefined : parseOperator(credential)
      return operator === undefined || credential === undefined ? undefined : { ...operator, credential }
    },
  }
}

/** `likely`: the hash of somebody else, to compare with for a name that has none. */
function credentialsOf(tables: OperatorTables, table: Table, name: string) {
  const credential = tables.passwordHash(table, name)
  const names = isExternal(table) ? [] : tables.entries(table).slice(0, 10)
  const others = names.map((one) => parseOperator(tables.passwordHash(table, one) ?? '')?.hash)
  return { credential, likely: others.find((hash) => hash !== undefined) ?? nobodysHash }
}
