import type { TableService } from '../config/external-table.ts'
import type { SqlQuery } from '../config/sql-query.ts'
import { valuesOf } from '../config/sql-query.ts'
import type { Asked, SqlBackend, SqliteBackend } from '../config/table-backend.ts'
import { askedFor, joined } from './asked-for.ts'
import type { KeyedSource } from './key-table.ts'

/** A database, as far as a table needs one. */
export interface SqlDatabase {
  /** The rows of a query, each as its columns. Rejects when there is no answer in time. */
  rows(text: string, values: readonly string[]): Promise<readonly (readonly unknown[])[]>
  close(): Promise<void>
}

/** The value of a key is what its query selects; a row that begins with NULL is none. */
export function sqlTable(
  { queries, lists }: Pick<SqlBackend | SqliteBackend, 'queries' | 'lists'>,
  database: SqlDatabase,
): KeyedSource {
  const turns = new Map<string, number>()

  async function ask(
    asked: Asked<SqlQuery>,
    service: TableService,
    key: string | undefined,
  ): Promise<readonly (readonly string[])[]> {
    const query = askedFor(asked, service, key === undefined ? 'fetch' : 'query')
    const values = valuesOf(query, key ?? '')
    if (values === undefined) return []
    const rows = await database.rows(query.text, values).catch((error: unknown) => {
      if (!isLostConnection(error)) throw error
      return database.rows(query.text, values)
    })
    return rows
      .filter(([first]) => first !== null && first !== undefined)
      .map((row) => row.map((value) => textOf(value)))
  }

  return {
    lookup: async (key, service) => joined(await ask(queries, service, key)),
    async fetch(service) {
      const rows = await ask(lists, service, undefined)
      const turn = turns.get(service) ?? 0
      turns.set(service, turn + 1)
      const row = rows[turn % Math.max(1, rows.length)]
      return row === undefined ? undefined : joined([row])
    },
    close: () => database.close(),
  }
}

/** A connection that was kept had ended: the question may be put again. */
function isLostConnection(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const code = 'code' in error ? String(error.code) : ''
  return (
    ['57P01', 'ECONNRESET', 'EPIPE', 'PROTOCOL_CONNECTION_LOST'].includes(code) ||
    /terminated|not queryable|closed state/.test(error.message)
  )
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value
  if (value === null || value === undefined) return ''
  if (value instanceof Uint8Array) return Buffer.from(value).toString('utf8')
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') return String(value)
  if (value instanceof Date) return value.toISOString()
  throw new Error('a column is neither text nor a number')
}
