import type { Configuration } from './model.ts'
import { settle } from './settle.ts'
import type { RelayLogin, TableSet } from './tables.ts'

/** User and password for a relay label, from the first `auth` table of a relay action that has it. @throws TableError */
export async function anyLogin(
  { configuration, tables }: { readonly configuration: Pick<Configuration, 'actions'>; readonly tables: TableSet },
  label: string,
): Promise<RelayLogin | undefined> {
  for (const action of configuration.actions.values()) {
    const auth = action.kind === 'relay' ? action.auth : undefined
    const login = auth === undefined ? undefined : await settle(tables, (settled) => settled.relayLogin(auth, label))
    if (login !== undefined) return login
  }
  return undefined
}
