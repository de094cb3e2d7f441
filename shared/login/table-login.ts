import { isExternal } from '../config/external-table.ts'
import { settle } from '../config/settle.ts'
import type { Table } from '../config/model.ts'
import type { TableSet } from '../config/tables.ts'
import { parseScramSecret } from '../crypt/scram-secret.ts'
import type { PasswordVerifier } from '../crypt/verify-password.ts'
import type { LoginBackend } from './login-backend.ts'

export type LoginTables = Pick<TableSet, 'passwordHash' | 'entries' | 'answering'>

/** An external table cannot be asked for some user's: as costly as most are, and nobody's password. */
const nobodysHash = '$2b$10$abcdefghijklmnopqrstuuMWcmIQRpYqEBqXbYwQxUuCbrAxUuNm.'

/** Logins against a table of credentials. An unknown user costs the same work as a wrong password. */
export function tableLogin(
  credentials: Table,
  tables: LoginTables,
  verifier: Pick<PasswordVerifier, 'verify'>,
): LoginBackend {
  return {
    name: `table ${credentials.name}`,
    async checkPassword(user, password) {
      const { hash, likely } = await settle(tables, (settled) => hashesOf(settled, credentials, user))
      if (likely === undefined) return { kind: 'refused' }
      const matches = await verifier.verify(password, likely)
      return matches && hash !== undefined ? { kind: 'accepted', user } : { kind: 'refused' }
    },
    async scramSecret(user) {
      const hash = await settle(tables, (settled) => settled.passwordHash(credentials, user))
      return hash === undefined ? undefined : parseScramSecret(hash)
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
