import type { MessageId } from '../../mail/message-id.ts'
import { journalIdentity } from '../host-identity.ts'
import type { JournalPiece } from '../journal-tail.ts'
import type { CopyRow } from '../message-draft.ts'
import { copyColumns, copyRowOf, messageColumns, messageRowOf } from '../row-columns.ts'
import type { CopyColumns, MessageColumns } from '../row-columns.ts'
import type { Rows } from '../sql.ts'
import type { Batch, KnownMessage, SavedMessage, StoredMessage, StoredStory, WritableStore } from '../store-database.ts'
import type { PostgresPlace } from '../store-place.ts'
import { settledBefore } from '../trim.ts'
import { connect } from './connection.ts'
import type { Connections, Session } from './connection.ts'
import { postgresDialect } from './dialect.ts'
import { Names } from './names.ts'
import { packLines } from './packed-lines.ts'
import { begin, prepareTables, writerLock } from './prepare.ts'
import { kindsIn, positionsIn, storyIn } from './read.ts'
import { copyRecord, messageRecord, saveCopies, saveLines, saveMessages } from './records.ts'
import type { LinesRecord } from './records.ts'
import { tooOldIn } from './size.ts'

/** A transaction of another ledger may be before us. */
const statementMs = 30_000

/**
 * What the server is told. A ledger whose host is gone must not keep the others waiting; and what a crash of the server takes of the
 * last second goes with the positions, and is written again.
 */
const settings = ['-c idle_in_transaction_session_timeout=60000', '-c synchronous_commit=off']

/** To write in: one per data folder, any number of hosts. Connects when it is first asked. */
export function writePostgres(folder: string, place: PostgresPlace): WritableStore {
  return new PostgresWriter(connect(place, { statementMs, settings }), journalIdentity(folder), place.hostName)
}

class PostgresWriter implements WritableStore {
  readonly dialect
  readonly isShared = true
  readonly #connections: Connections
  readonly #identity: string
  readonly #hostName: string
  /** Absent: the tables may be missing. */
  #host: number | undefined
  #names = new Names()
  /** Of the files of the last transaction: a crash of the server may take it, and the names it added, while we live. */
  #written: ReadonlyMap<string, number> = new Map()

  constructor(connections: Connections, identity: string, hostName: string) {
    this.#connections = connections
    this.#identity = identity
    this.#hostName = hostName
    this.dialect = postgresDialect(identity)
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

  async write(pieces: readonly JournalPiece[], work: (batch: Batch) => Promise<void>): Promise<void> {
    const spans = spansOf(pieces)
    await this.#alone(async (session, host) => {
      await this.#names.refresh(session)
      const files = await keepPositions(session, host, spans, this.#written)
      await work(new PostgresBatch(session, this.#names, host, files))
    })
    this.#written = new Map([...spans].map(([name, { position }]) => [name, position]))
  }

  /** The tables may be gone, and names that were added with what failed. */
  async mend(): Promise<boolean> {
    this.#host = undefined
    this.#names = new Names()
    this.#written = new Map()
    return false
  }

  keepFact(name: string, value: number): Promise<void> {
    return this.#asked(async ({ run }) => {
      await run('INSERT INTO facts VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value', [
        name,
        value,
      ])
    })
  }

  dropSettled(before: number, most: number): Promise<number> {
    return this.#alone(async ({ rows, run }) => {
      const found = (await rows(settledBefore, before, most)) as readonly (readonly [number])[]
      const keys = found.map(([key]) => key)
      if (keys.length === 0) return 0
      for (const table of ['copies', 'lines', 'messages']) {
        await run(`DELETE FROM ${table} WHERE message = ANY($1)`, [keys])
      }
      return keys.length
    })
  }

  /** The database is not on the disk of the journal. */
  async usedBytes(): Promise<number> {
    return 0
  }

  tooOld(mostBytes: number): Promise<number | undefined> {
    return this.#asked((session) => tooOldIn(session, mostBytes))
  }

  /** The server makes use of it by itself (autovacuum). */
  async shrink(): Promise<void> {
    return undefined
  }

  async forgetFiles(names: readonly string[]): Promise<void> {
    if (names.length === 0) return
    await this.#alone(async ({ run }, host) => {
      await run('DELETE FROM files WHERE host = $1 AND name = ANY($2)', [host, names])
    })
    this.#written = new Map([...this.#written].filter(([name]) => !names.includes(name)))
  }

  close(): Promise<void> {
    return this.#connections.close()
  }

  #asked<T>(ask: (session: Session) => Promise<T>): Promise<T> {
    return this.#connections.withSession(async (session) => {
      await this.#prepared(session)
      return ask(session)
    })
  }

  /** In a transaction, while no other ledger writes. */
  #alone<T>(work: (session: Session, host: number) => Promise<T>): Promise<T> {
    return this.#connections.withSession(async (session) => {
      const host = await this.#prepared(session)
      await session.script(`${begin}; SELECT pg_advisory_xact_lock(${writerLock})`)
      const result = await work(session, host)
      await session.script('COMMIT')
      return result
    })
  }

  async #prepared(session: Session): Promise<number> {
    return (this.#host ??= await prepareTables(session, this.#identity, this.#hostName))
  }
}

/** What was read of a file. */
interface Span {
  readonly from: number
  position: number
}

function spansOf(pieces: readonly JournalPiece[]): ReadonlyMap<string, Span> {
  const spans = new Map<string, Span>()
  for (const { name, from, position } of pieces) {
    const span = spans.get(name)
    if (span === undefined) spans.set(name, { from, position })
    else span.position = position
  }
  return spans
}

/**
 * Numbers of the files, which were read up to the end of the spans.
 * @param written positions that the last transaction left
 * @throws when the spans do not begin where the database says that reading goes on, or it does not know the last transaction any more: it
 *   was put back to what it was, or another ledger works on a copy of this data folder
 */
async function keepPositions(
  { run }: Session,
  host: number,
  spans: ReadonlyMap<string, Span>,
  written: ReadonlyMap<string, number>,
): Promise<ReadonlyMap<string, number>> {
  const expected = new Map([...written, ...[...spans].map(([name, { from }]) => [name, from] as const)])
  const rows = await run('SELECT name, position FROM files WHERE host = $1 AND name = ANY($2)', [
    host,
    [...expected.keys()],
  ])
  const known = new Map(rows as readonly [string, number][])
  for (const [name, from] of expected) {
    if ((known.get(name) ?? 0) !== from)
      throw new Error(`${name} is known up to octet ${known.get(name) ?? 0} and was read from ${from}: read again`)
  }
  const positions = [...spans].map(([name, { position }]) => ({ name, position }))
  const kept = (await run(
    `INSERT INTO files (host, name, position)
     SELECT $1, name, position FROM json_to_recordset($2) AS r (name TEXT, position BIGINT)
     ON CONFLICT (host, name) DO UPDATE SET position = excluded.position RETURNING name, file`,
    [host, JSON.stringify(positions)],
  )) as readonly (readonly [string, number])[]
  return new Map(kept)
}

class PostgresBatch implements Batch {
  readonly #session: Session
  readonly #names: Names
  readonly #host: number
  readonly #files: ReadonlyMap<string, number>
  /** Of messages that are known: who accepted them. */
  readonly #hosts = new Map<number, number>()

  constructor(session: Session, names: Names, host: number, files: ReadonlyMap<string, number>) {
    this.#session = session
    this.#names = names
    this.#host = host
    this.#files = files
  }

  async read(ids: readonly MessageId[]): Promise<ReadonlyMap<MessageId, StoredMessage>> {
    const found = (await this.#session.run(
      `SELECT message, id, host, ${messageColumns} FROM messages WHERE id = ANY($1)`,
      [ids],
    )) as readonly MessageValues[]
    const known = new Map<MessageId, StoredMessage>()
    if (found.length === 0) return known
    const copies = await this.#copies(found.map(([key]) => key))
    for (const [key, id, host, ...columns] of found) {
      this.#hosts.set(key, host)
      known.set(id, { key, message: messageRowOf(columns, this.#names), copies: copies.get(key) ?? new Map() })
    }
    return known
  }

  async taken(keys: readonly number[]): Promise<ReadonlySet<number>> {
    const rows = (await this.#session.run('SELECT message FROM messages WHERE message = ANY($1)', [
      keys,
    ])) as readonly (readonly [number])[]
    return new Set(rows.map(([key]) => key))
  }

  async save(messages: readonly SavedMessage[]): Promise<void> {
    await this.#names.add(
      this.#session,
      messages.flatMap(({ draft: { message, copies, changedCopies } }) => [
        message.listener,
        message.tags,
        ...[...changedCopies].flatMap((n) => {
          const copy = copies.get(n)
          return [copy?.stage, copy?.rules, copy?.class]
        }),
      ]),
    )
    const hostOf = ({ key, draft }: SavedMessage): number =>
      draft.isAccepted ? this.#host : (this.#hosts.get(key) ?? this.#host)
    await this.#session.run(saveMessages, [
      JSON.stringify(messages.map((saved) => messageRecord(saved, hostOf(saved), this.#names))),
    ])
    const copies = messages.flatMap(({ key, draft }) =>
      [...draft.changedCopies].flatMap((n) => {
        const copy = draft.copies.get(n)
        return copy === undefined ? [] : [copyRecord(key, n, copy, this.#names)]
      }),
    )
    if (copies.length > 0) await this.#session.run(saveCopies, [JSON.stringify(copies)])
    const lines = messages.flatMap((saved) => this.#lines(saved))
    if (lines.length > 0) await this.#session.run(saveLines, [JSON.stringify(lines)])
  }

  #lines({ key, lines }: SavedMessage): readonly LinesRecord[] {
    const [first] = lines
    if (first === undefined) return []
    const packed = packLines(lines.map(({ text }) => text)).toString('base64')
    return [{ message: key, position: first.offset, file: this.#files.get(first.file) ?? 0, packed }]
  }

  async #copies(keys: readonly number[]): Promise<ReadonlyMap<number, Map<number, CopyRow>>> {
    const rows = (await this.#session.run(`SELECT message, n, ${copyColumns} FROM copies WHERE message = ANY($1)`, [
      keys,
    ])) as readonly CopyValues[]
    const copies = new Map<number, Map<number, CopyRow>>()
    for (const [key, n, ...columns] of rows) {
      const known = copies.get(key) ?? new Map<number, CopyRow>()
      copies.set(key, known)
      known.set(n, copyRowOf(columns, this.#names))
    }
    return copies
  }
}

type MessageValues = readonly [key: number, id: MessageId, host: number, ...MessageColumns]

type CopyValues = readonly [key: number, n: number, ...CopyColumns]
