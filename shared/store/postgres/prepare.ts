import { facts, schema, steps } from './tables.ts'
import type { Session } from './connection.ts'

/** Transactions of all ledgers take turns by it: what one of them reads no other changes before it is written. */
export const writerLock = 0x736c_7563
const tablesLock = writerLock + 1
/** Behind a lock each statement sees what was written before it was had, whatever the database's own level is. */
export const begin = 'BEGIN ISOLATION LEVEL READ COMMITTED'

/**
 * Makes what is missing of the tables, and gives this host its number; ledgers that come at the same time wait for each other.
 * @throws when the tables are of a later version, or the database is not in UTF-8
 */
export async function prepareTables(session: Session, identity: string, hostName: string): Promise<number> {
  await session.script(`${begin}; SELECT pg_advisory_xact_lock(${tablesLock})`)
  const done = await stepsDone(session)
  if (done === undefined) await makeSchema(session)
  if ((done ?? 0) > steps.length) throw versionError(done)
  for (const step of steps.slice(done ?? 0)) await session.script(step)
  if ((done ?? 0) < steps.length)
    await session.run(
      "INSERT INTO facts VALUES ('version', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
      [steps.length],
    )
  const [row] = (await session.run(
    'INSERT INTO hosts (identity, name) VALUES ($1, $2) ON CONFLICT (identity) DO UPDATE SET name = excluded.name RETURNING host',
    [identity, hostName],
  )) as readonly [number][]
  await session.script('COMMIT')
  return row?.[0] ?? 0
}

/** @throws when there are none, or they are of another version */
export async function checkTables(session: Session): Promise<void> {
  const done = await stepsDone(session)
  if (done === undefined) throw new Error('there is no message store in it yet: the service ledger makes it')
  if (done !== steps.length) throw versionError(done)
}

async function makeSchema(session: Session): Promise<void> {
  const [[encoding] = ['']] = (await session.run('SHOW server_encoding')) as readonly [string][]
  if (encoding !== 'UTF8') throw new Error(`its encoding is ${encoding}: CREATE DATABASE ... ENCODING 'UTF8'`)
  const known = await session.run('SELECT 1 FROM pg_namespace WHERE nspname = $1', [schema])
  if (known.length === 0) await session.script(`CREATE SCHEMA ${schema}`)
  await session.script(facts)
}

/** Absent: there are no tables. */
export async function stepsDone(session: Session): Promise<number | undefined> {
  const [found] = (await session.run(`SELECT to_regclass('${schema}.facts')::text`)) as readonly [string | null][]
  if (found?.[0] === null || found === undefined) return undefined
  const [row] = (await session.run("SELECT value FROM facts WHERE name = 'version'")) as readonly [number][]
  return row?.[0] ?? 0
}

function versionError(found: number | undefined): Error {
  return new Error(
    `the message store in it is of version ${found ?? 0}, and this is ${steps.length}: update every host`,
  )
}
