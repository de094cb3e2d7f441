import { isSecretOf, parseApiToken, splitToken } from '../../shared/config/api-tokens.ts'
import type { Scope } from '../../shared/config/api-tokens.ts'
import type { Table } from '../../shared/config/model.ts'
import { settle } from '../../shared/config/settle.ts'
import type { OperatorTables } from './sign-in.ts'

/** Who a token of the API is; undefined: nobody's. @throws TableError when nobody can say */
export type TokenCheck = (
  token: string,
) => Promise<{ readonly name: string; readonly scopes: ReadonlySet<Scope> } | undefined>

/** `tokens`: the table in force. It is asked each time, so that a token that is taken out of it is good for nothing at once. */
export function createTokenCheck(tokens: () => Table | undefined, tables: OperatorTables): TokenCheck {
  return async (token) => {
    const [table, split] = [tokens(), splitToken(token)]
    if (table === undefined || split === undefined) return undefined
    const value = await settle(tables, (settled) => settled.passwordHash(table, split.name))
    const known = value === undefined ? undefined : parseApiToken(value)
    if (known === undefined || !isSecretOf(known, split.secret)) return undefined
    return { name: split.name, scopes: known.scopes }
  }
}
