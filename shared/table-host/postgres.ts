import { Pool } from 'pg'

import type { SqlBackend } from '../config/table-backend.ts'
import type { SqlDatabase } from './sql-table.ts'

const maxConnections = 4

/** Connections are kept for half a minute, and none is open before the first question. */
export function openPostgres({ place, username, password, database, tls, timeoutMs }: SqlBackend): SqlDatabase {
  const pool = new Pool({
    ...(place.kind === 'unix' ? { host: place.path } : { host: place.host, port: place.port }),
    user: username,
    ...(password === undefined ? {} : { password }),
    database,
    ...(tls === undefined ? {} : { ssl: tls.ca === undefined ? true : { ca: tls.ca } }),
    max: maxConnections,
    idleTimeoutMillis: 30_000,
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs,
    statement_timeout: timeoutMs,
    application_name: 'sluice',
  })
  // A connection that ends while it rests is replaced; without a listener the process would end.
  pool.on('error', () => undefined)
  return {
    async rows(text, values) {
      const { rows } = await pool.query<unknown[]>({ text, values: [...values], rowMode: 'array' })
      return rows
    },
    close: () => pool.end(),
  }
}
