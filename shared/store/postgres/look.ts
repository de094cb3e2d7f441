import type { PostgresPlace } from '../store-place.ts'
import { connect } from './connection.ts'
import type { Session } from './connection.ts'
import { stepsDone } from './prepare.ts'
import { schema, steps } from './tables.ts'

/** A PostgreSQL as a ledger would find it. */
export interface FoundServer {
  /** `15.14` */
  readonly version: string
  readonly encoding: string
  /** It is a copy that follows another server, or is set to read only. */
  readonly isReadOnly: boolean
  /** Steps that made its tables, of those this version knows; absent: there are none yet, or nobody may say. */
  readonly stepsDone?: number
  readonly stepsKnown: number
  /** What this user may not do and a ledger does, `CREATE on database mail`. */
  readonly lacks: readonly string[]
}

const statementMs = 5_000

/** Changes nothing. @throws StoreError when it does not answer or lets this user not in */
export async function lookAtPostgres(place: PostgresPlace): Promise<FoundServer> {
  const connections = connect(place, { statementMs })
  try {
    return await connections.withSession(found)
  } finally {
    await connections.close()
  }
}

async function found(session: Session): Promise<FoundServer> {
  const [[version, encoding, isReadOnly] = ['', '', false]] = (await session.run(
    `SELECT split_part(current_setting('server_version'), ' ', 1), current_setting('server_encoding'),
       pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean`,
  )) as readonly [string, string, boolean][]
  const onSchema = await lacksOfSchema(session)
  const onTables = await lacksOfTables(session)
  const done = onSchema.length + onTables.length === 0 ? await stepsDone(session) : undefined
  const isOwned = done === undefined || done >= steps.length || (await ownsTables(session))
  return {
    version,
    encoding,
    isReadOnly,
    ...(done === undefined ? {} : { stepsDone: done }),
    stepsKnown: steps.length,
    lacks: [...onSchema, ...onTables, ...(isOwned ? [] : [`ownership of the tables in ${schema}`])],
  }
}

async function lacksOfSchema({ run }: Session): Promise<readonly string[]> {
  const rows = (await run(
    `SELECT p || ' on schema ' || nspname FROM pg_namespace, unnest(ARRAY['USAGE', 'CREATE']) AS p
       WHERE nspname = $1 AND NOT has_schema_privilege(oid, p)
     UNION ALL
     SELECT 'CREATE on database ' || current_database()
       WHERE NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)
         AND NOT has_database_privilege(current_database(), 'CREATE')`,
    [schema],
  )) as readonly (readonly [string])[]
  return rows.map(([lack]) => lack)
}

async function lacksOfTables({ run }: Session): Promise<readonly string[]> {
  const rows = (await run(
    `SELECT string_agg(p, ', ') || ' on ' || nspname || '.' || relname
     FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS p
     WHERE nspname = $1 AND relkind = 'r' AND NOT has_table_privilege(c.oid, p)
     GROUP BY nspname, relname ORDER BY relname`,
    [schema],
  )) as readonly (readonly [string])[]
  return rows.map(([lack]) => lack)
}

/** Only who owns a table may change it. */
async function ownsTables({ run }: Session): Promise<boolean> {
  const strange = await run(
    `SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
     WHERE nspname = $1 AND relkind = 'r' AND NOT pg_has_role(relowner, 'USAGE') LIMIT 1`,
    [schema],
  )
  return strange.length === 0
}
