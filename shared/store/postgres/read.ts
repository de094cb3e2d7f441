import type { MessageId } from '../../mail/message-id.ts'
import { readIdentity } from '../host-identity.ts'
import type { Dialect, Rows } from '../sql.ts'
import type { KnownMessage, ReadableStore, StoredStory } from '../store-database.ts'
import type { PostgresPlace } from '../store-place.ts'
import { connect } from './connection.ts'
import type { Connections, Session } from './connection.ts'
import { postgresDialect } from './dialect.ts'
import { unpackLines } from './packed-lines.ts'
import { checkTables } from './prepare.ts'

/** What the server is told: to prefer an index that leads to few rows to cutting the words of all of them. */
const settings = [
  '-c default_transaction_read_only=on',
  '-c random_page_cost=1.1',
  '-c max_parallel_workers_per_gather=0',
]

/**
 * For questions, from any number of processes and hosts. Connects when it is first asked.
 * @param folder of this host's journal
 * @param statementMs for one question
 */
export function readPostgres(folder: string, place: PostgresPlace, statementMs: number): ReadableStore {
  const connections = connect(place, { statementMs, settings })
  return new PostgresReader(connections, folder)
}

class PostgresReader implements ReadableStore {
  readonly #connections: Connections
  readonly #folder: string
  #isChecked = false

  constructor(connections: Connections, folder: string) {
    this.#connections = connections
    this.#folder = folder
  }

  get dialect(): Dialect {
    return postgresDialect(this.#identity)
  }

  atOneMoment<T>(ask: (rows: Rows) => Promise<T>): Promise<T> {
    return this.#asked(({ rows }) => ask(rows))
  }

  kinds(ids: readonly MessageId[]): Promise<ReadonlyMap<MessageId, KnownMessage>> {
    return this.#asked((session) => kindsIn(session, ids))
  }

  story(id: MessageId): Promise<StoredStory> {
    return this.#asked((session) => storyIn(session, id, this.#identity))
  }

  positions(): Promise<ReadonlyMap<string, number>> {
    return this.#asked((session) => positionsIn(session, this.#identity))
  }

  close(): Promise<void> {
    return this.#connections.close()
  }

  /** The ledger makes it when it first writes. */
  get #identity(): string {
    return readIdentity(this.#folder) ?? ''
  }

  #asked<T>(ask: (session: Session) => Promise<T>): Promise<T> {
    return this.#connections.withSession(async (session) => {
      await session.script('BEGIN ISOLATION LEVEL REPEATABLE READ')
      if (!this.#isChecked) await checkTables(session)
      this.#isChecked = true
      const answer = await ask(session)
      await session.script('COMMIT')
      return answer
    })
  }
}

export async function kindsIn(
  session: Session,
  ids: readonly MessageId[],
): Promise<ReadonlyMap<MessageId, KnownMessage>> {
  const rows = (await session.run('SELECT id, message, kind FROM messages WHERE id = ANY($1)', [
    ids,
  ])) as readonly (readonly [MessageId, number, number])[]
  return new Map(rows.map(([id, key, kind]) => [id, { key, kind }]))
}

/** Of all hosts: their ledgers keep the lines. */
export async function storyIn(session: Session, id: MessageId, identity: string): Promise<StoredStory> {
  const rows = (await session.run(
    'SELECT packed FROM lines WHERE message = (SELECT message FROM messages WHERE id = $1) ORDER BY file, position',
    [id],
  )) as readonly (readonly [Uint8Array])[]
  return { lines: rows.flatMap(([packed]) => unpackLines(packed)), positions: await positionsIn(session, identity) }
}

export async function positionsIn(session: Session, identity: string): Promise<ReadonlyMap<string, number>> {
  const rows = (await session.run(
    'SELECT f.name, f.position FROM files f JOIN hosts h ON h.host = f.host WHERE h.identity = $1',
    [identity],
  )) as readonly (readonly [string, number])[]
  return new Map(rows)
}
