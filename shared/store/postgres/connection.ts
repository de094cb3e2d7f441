import pg from 'pg'
import type { PoolClient, PoolConfig } from 'pg'

import type { Rows, SqlValue } from '../sql.ts'
import { StoreError } from '../store-error.ts'
import type { PostgresPlace } from '../store-place.ts'
import { schema } from './tables.ts'

/** Questions that go to one connection, with `?` in place of `$1`. */
export interface Session {
  readonly rows: Rows
  /** With `$1`; a list is one value. */
  run(text: string, values?: readonly unknown[]): Promise<readonly unknown[]>
  /** Several statements at once. */
  script(text: string): Promise<void>
}

export interface Connections {
  /** @throws StoreError. What fails ends its connection, and with it what was begun on it. */
  withSession<T>(use: (session: Session) => Promise<T>): Promise<T>
  /** `localhost:5432/sluice` */
  readonly name: string
  close(): Promise<void>
}

export interface ConnectionOptions {
  /** For one statement. */
  readonly statementMs: number
  /** What the server is told at the beginning, `-c name=value`. */
  readonly settings?: readonly string[]
}

const standardPort = 5432
const connectMs = 5_000
/** A server that does not keep to its own limit has gone. */
const answerMs = 2_000
const maxConnections = 3

/** None is open before the first question; they are kept for half a minute. */
export function connect(place: PostgresPlace, { statementMs, settings = [] }: ConnectionOptions): Connections {
  const { user, password, database, tls } = place
  const at = place.place
  const config: PoolConfig = {
    // Nothing is left to the environment (PGPORT).
    ...(at.kind === 'unix' ? { host: at.path, port: standardPort } : { host: at.host, port: at.port }),
    user,
    database,
    ...(password === undefined ? {} : { password }),
    ...(tls === undefined ? {} : { ssl: tls.ca === undefined ? true : { ca: tls.ca } }),
    max: maxConnections,
    idleTimeoutMillis: 30_000,
    connectionTimeoutMillis: connectMs,
    statement_timeout: statementMs,
    query_timeout: statementMs + answerMs,
    keepAlive: true,
    application_name: 'sluice',
    options: [`-c search_path=${schema}`, '-c jit=off', ...settings].join(' '),
    types: { getTypeParser: parserOf },
  }
  const name = `${at.kind === 'unix' ? at.path : `${at.host}:${at.port}`}/${database}`
  const pool = new pg.Pool(config)
  // A connection that ends while it rests is replaced; without a listener the process would end.
  pool.on('error', () => undefined)

  async function withSession<T>(use: (session: Session) => Promise<T>): Promise<T> {
    const client = await pool.connect().catch((error: unknown) => {
      throw namedError(name, error)
    })
    let isLost = true
    // While it is in use, too: the question that waits is told by itself.
    const ignore = (): undefined => undefined
    client.on('error', ignore)
    try {
      const result = await use(sessionOf(client))
      isLost = false
      return result
    } catch (error) {
      throw namedError(name, error)
    } finally {
      client.off('error', ignore)
      client.release(isLost)
    }
  }

  return { withSession, name, close: () => pool.end() }
}

function sessionOf(client: PoolClient): Session {
  async function run(text: string, values: readonly unknown[] = []): Promise<readonly unknown[]> {
    const { rows } = await client.query<unknown[]>({ text, values: [...values], rowMode: 'array' })
    return rows
  }
  return {
    run,
    rows: (text: string, ...values: readonly SqlValue[]) => run(numbered(text), values),
    async script(text) {
      await client.query(text)
    },
  }
}

/** No text of ours has a question mark that stands for itself. */
function numbered(text: string): string {
  let count = 0
  return text.replaceAll('?', () => {
    count += 1
    return `$${count}`
  })
}

const int8 = 20

/** No number of ours is beyond 2^53. */
const parserOf: typeof pg.types.getTypeParser = (type: number, format?: 'text' | 'binary') =>
  type === int8 ? Number : pg.types.getTypeParser(type, format)

function namedError(name: string, error: unknown): StoreError {
  if (error instanceof StoreError) return error
  const { code } = error as { readonly code?: unknown }
  const text = error instanceof Error && error.message !== '' ? error.message : String(code ?? error)
  return new StoreError(`PostgreSQL ${name}: ${text}`, { cause: error })
}
