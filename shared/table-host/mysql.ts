import { createPool } from 'mysql2/promise'

import type { SqlBackend } from '../config/table-backend.ts'
import { withTimeLimit } from '../deadline.ts'
import type { SqlDatabase } from './sql-table.ts'

const maxConnections = 4

/** Connections are kept for half a minute, and none is open before the first question. */
export function openMysql({ place, username, password, database, tls, timeoutMs }: SqlBackend): SqlDatabase {
  const pool = createPool({
    ...(place.kind === 'unix' ? { socketPath: place.path } : { host: place.host, port: place.port }),
    user: username,
    ...(password === undefined ? {} : { password }),
    database,
    ...(tls === undefined ? {} : { ssl: { verifyIdentity: true, ...(tls.ca === undefined ? {} : { ca: tls.ca }) } }),
    connectionLimit: maxConnections,
    maxIdle: maxConnections,
    idleTimeout: 30_000,
    queueLimit: 1000,
    connectTimeout: timeoutMs,
    supportBigNumbers: true,
    dateStrings: true,
  })
  return {
    async rows(text, values) {
      const connection = await pool.getConnection()
      try {
        const asked = connection.execute({ sql: text, rowsAsArray: true }, [...values])
        const [rows] = await withTimeLimit(timeoutMs, 'no answer of the database', asked)
        connection.release()
        return Array.isArray(rows) ? rows.filter((row): row is unknown[] & typeof row => Array.isArray(row)) : []
      } catch (error) {
        connection.destroy()
        throw error
      }
    },
    close: () => pool.end(),
  }
}
