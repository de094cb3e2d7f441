import { join } from 'node:path'

import { acceptedAtOf } from '../mail/message-id.ts'
import type { MessageId } from '../mail/message-id.ts'
import { closeAfterWriting, isDamage, openForReading, openForWriting, putAside, valueOf } from './database.ts'
import type { SqlValue } from './sql.ts'
import type { Statement, StoreDatabase } from './database.ts'
import { lineAt } from './journal-tail.ts'
import type { JournalPiece } from './journal-tail.ts'
import type { CopyRow } from './message-draft.ts'
import { firstKeyOf, lastKeyOf } from './message-key.ts'
import { packPlaces, unpackPlaces } from './places.ts'
import { copyColumns, copyRowOf, messageColumns, messageRowOf } from './row-columns.ts'
import type { CopyColumns, MessageColumns } from './row-columns.ts'
import type { Dialect, Rows } from './sql.ts'
import { sqliteDialect } from './sqlite-dialect.ts'
import type {
  Batch,
  KnownMessage,
  ReadableStore,
  SavedMessage,
  StoredMessage,
  StoredStory,
  WritableStore,
} from './store-database.ts'
import { settledBefore } from './trim.ts'

/** The database below the folder of the journal. */
export function storePath(eventsFolder: string): string {
  return join(eventsFolder, 'events.db')
}

/** For questions. Its calls block: for a thread, or a command. @throws when there is no store, or one of another version */
export function readSqlite(folder: string): ReadableStore {
  return new SqliteReader(folder, openForReading(storePath(folder)))
}

export interface SqliteOptions {
  /** Folder of the journal; the database lies in it. */
  readonly folder: string
  /** Something an operator should know: the database was damaged and is made anew. */
  readonly warn: (fields: object, text: string) => void
  readonly now: () => number
}

/** To write in: one per data folder, in a thread. A store that is damaged is made anew from the journals. */
export function writeSqlite(options: SqliteOptions): SqliteWriter {
  return new SqliteWriter(options)
}

class SqliteReader implements ReadableStore {
  readonly dialect: Dialect = sqliteDialect
  readonly #folder: string
  readonly #database: StoreDatabase
  #turn: Promise<unknown> = Promise.resolve()

  constructor(folder: string, database: StoreDatabase) {
    this.#folder = folder
    this.#database = database
  }

  /** One after another: there is one connection. */
  atOneMoment<T>(ask: (rows: Rows) => Promise<T>): Promise<T> {
    const asked = this.#turn.then(() => inTransaction(this.#database, 'BEGIN', () => ask(rowsOf(this.#database))))
    this.#turn = asked.catch(() => undefined)
    return asked
  }

  async kinds(ids: readonly MessageId[]): Promise<ReadonlyMap<MessageId, KnownMessage>> {
    return kindsIn(this.#database, ids)
  }

  async story(id: MessageId): Promise<StoredStory> {
    return storyIn(this.#database, this.#folder, id)
  }

  async positions(): Promise<ReadonlyMap<string, number>> {
    return positionsIn(this.#database)
  }

  async close(): Promise<void> {
    this.#database.close()
  }
}

class SqliteWriter implements WritableStore {
  readonly dialect: Dialect = sqliteDialect
  readonly isShared = false
  readonly #options: SqliteOptions
  #database: StoreDatabase
  #statements: Statements
  #names: Names

  constructor(options: SqliteOptions) {
    this.#options = options
    const { database, putAside: old } = openForWriting(storePath(options.folder), options.now())
    this.#database = database
    this.#statements = prepare(database)
    this.#names = new Names(database)
    if (old !== undefined) this.#tellRemade(old.reason, old.as)
  }

  get database(): StoreDatabase {
    return this.#database
  }

  atOneMoment<T>(ask: (rows: Rows) => Promise<T>): Promise<T> {
    return ask(rowsOf(this.#database))
  }

  async kinds(ids: readonly MessageId[]): Promise<ReadonlyMap<MessageId, KnownMessage>> {
    return kindsIn(this.#database, ids)
  }

  async story(id: MessageId): Promise<StoredStory> {
    return storyIn(this.#database, this.#options.folder, id)
  }

  async positions(): Promise<ReadonlyMap<string, number>> {
    return positionsIn(this.#database)
  }

  write(pieces: readonly JournalPiece[], work: (batch: Batch) => Promise<void>): Promise<void> {
    return inTransaction(this.#database, 'BEGIN IMMEDIATE', async () => {
      const files = new Map<string, number>()
      for (const { name, position } of pieces) {
        const [file] = this.#statements.keepPosition.get(name, position) as readonly [number]
        files.set(name, file)
      }
      await work(this.#batch(files))
    })
  }

  async mend(error: Error): Promise<boolean> {
    if (!isDamage(error)) {
      this.#names = new Names(this.#database)
      return false
    }
    const { folder, now } = this.#options
    this.#database.close()
    const as = putAside(storePath(folder), now())
    this.#database = openForWriting(storePath(folder), now()).database
    this.#statements = prepare(this.#database)
    this.#names = new Names(this.#database)
    this.#tellRemade(error.message, as)
    return true
  }

  async keepFact(name: string, value: number): Promise<void> {
    this.#database.prepare('INSERT OR REPLACE INTO facts VALUES (?, ?)').run(name, value)
  }

  async dropSettled(before: number, most: number): Promise<number> {
    const keys = this.#database.prepare(settledBefore).raw().all(before, most) as readonly [number][]
    if (keys.length === 0) return 0
    const drop = [
      'DELETE FROM copies WHERE message = ?',
      'DELETE FROM remote WHERE rowid = ?',
      'DELETE FROM messages WHERE message = ?',
    ]
    const statements = drop.map((sql) => this.#database.prepare(sql))
    await inTransaction(this.#database, 'BEGIN IMMEDIATE', async () => {
      for (const [key] of keys) for (const statement of statements) statement.run(key)
    })
    return keys.length
  }

  /** Of the pages that hold something. */
  async usedBytes(): Promise<number> {
    const pragma = (name: string): number => Number(valueOf(this.#database, `PRAGMA ${name}`))
    return (pragma('page_count') - pragma('freelist_count')) * pragma('page_size')
  }

  /** It counts with the journal. */
  async tooOld(): Promise<undefined> {
    return undefined
  }

  async shrink(): Promise<void> {
    const free = Number(valueOf(this.#database, 'PRAGMA freelist_count'))
    if (free > vacuumPages) this.#database.prepare(`PRAGMA incremental_vacuum(${vacuumPages})`).all()
  }

  /** Their numbers are not used again. */
  async forgetFiles(names: readonly string[]): Promise<void> {
    const forget = this.#database.prepare('DELETE FROM files WHERE name = ?')
    for (const name of names) forget.run(name)
  }

  async close(): Promise<void> {
    closeAfterWriting(this.#database)
  }

  #tellRemade(reason: string, as?: string): void {
    const fields = { reason, ...(as === undefined ? {} : { putAside: as }) }
    this.#options.warn(fields, 'the message store could not be used: it is made anew from the journal')
  }

  #batch(files: ReadonlyMap<string, number>): Batch {
    const places = new Map<number, Uint8Array>()
    return {
      read: async (ids) => {
        const known = new Map<MessageId, StoredMessage>()
        for (const id of ids) {
          const row = messageRow(this.#statements, id)
          if (row === undefined) continue
          const [key, packed, ...columns] = row
          if (packed !== null) places.set(key, packed)
          known.set(id, { key, message: messageRowOf(columns, this.#names), copies: this.#copies(key) })
        }
        return known
      },
      taken: async (keys) => new Set(keys.filter((key) => this.#statements.isTaken.get(key) !== undefined)),
      save: async (messages) => {
        for (const message of messages) this.#save(message, files, places.get(message.key))
      },
    }
  }

  #copies(key: number): Map<number, CopyRow> {
    const rows = this.#statements.copies.all(key) as readonly CopyValues[]
    return new Map(rows.map(([n, ...columns]) => [n, copyRowOf(columns, this.#names)]))
  }

  #save(
    { id, key, draft: { message, copies, changedCopies }, lines }: SavedMessage,
    files: ReadonlyMap<string, number>,
    places: Uint8Array | undefined,
  ): void {
    const name = (text: string | undefined): number | null => (text === undefined ? null : this.#names.number(text))
    const told = lines.map(({ file, offset }) => ({ file: files.get(file) ?? 0, offset }))
    this.#statements.saveMessage.run(
      key,
      id,
      message.kind,
      message.sender ?? null,
      message.sizeBytes ?? null,
      message.client ?? null,
      message.user ?? null,
      name(message.listener),
      message.headerId ?? null,
      name(message.tags),
      message.subject ?? null,
      packPlaces(places, told),
    )
    for (const n of changedCopies) {
      const copy = copies.get(n)
      if (copy === undefined) continue
      this.#statements.saveCopy.run(
        key,
        n,
        copy.address ?? null,
        copy.state,
        name(copy.stage),
        name(copy.rules),
        name(copy.class),
        copy.remote ?? null,
        copy.nextAt ?? null,
        copy.at,
      )
    }
    if (changedCopies.size > 0) this.#saveWords(key, message.subject, copies)
  }

  /** What was said of any copy, and the subject. */
  #saveWords(key: number, subject: string | undefined, copies: ReadonlyMap<number, CopyRow>): void {
    const texts = [...[...copies.values()].map(({ remote }) => remote), subject]
    const said = [...new Set(texts.filter((one) => one !== undefined))]
    if (said.length > 0) this.#statements.saveRemote.run(key, said.join('\n'))
  }
}

export type { SqliteWriter }

/** Pages that are given back to the disk in one step. */
const vacuumPages = 500

async function inTransaction<T>(database: StoreDatabase, begin: string, work: () => Promise<T>): Promise<T> {
  database.exec(begin)
  try {
    const result = await work()
    database.exec('COMMIT')
    return result
  } catch (error) {
    if (database.inTransaction) database.exec('ROLLBACK')
    throw error
  }
}

function rowsOf(database: StoreDatabase): Rows {
  return async (text: string, ...values: readonly SqlValue[]) =>
    database
      .prepare(text)
      .raw()
      .all(...values)
}

function kindsIn(database: StoreDatabase, ids: readonly MessageId[]): ReadonlyMap<MessageId, KnownMessage> {
  const known = new Map<MessageId, KnownMessage>()
  const byTime = database.prepare('SELECT message, kind FROM messages WHERE message BETWEEN ? AND ? AND id = ?').raw()
  const later = database.prepare('SELECT message, kind FROM messages WHERE kind = 2 AND id = ?').raw()
  for (const id of ids) {
    const at = acceptedAtOf(id)
    const row: unknown = byTime.get(firstKeyOf(at), lastKeyOf(at), id) ?? later.get(id)
    if (row === undefined) continue
    const [key, kind] = row as readonly [number, number]
    known.set(id, { key, kind })
  }
  return known
}

/** The lines that the journal still has. */
function storyIn(database: StoreDatabase, folder: string, id: MessageId): StoredStory {
  const files = database.prepare('SELECT file, name, position FROM files').raw().all() as [number, string, number][]
  const names = new Map(files.map(([file, name]) => [file, name]))
  const packed = placesOf(database, id)
  const lines: string[] = []
  for (const { file, offset } of packed === undefined ? [] : unpackPlaces(packed)) {
    const name = names.get(file)
    const line = name === undefined ? undefined : lineAt(folder, name, offset)
    if (line !== undefined) lines.push(line)
  }
  return { lines, positions: new Map(files.map(([, name, position]) => [name, position])) }
}

function placesOf(database: StoreDatabase, id: MessageId): Uint8Array | undefined {
  const at = acceptedAtOf(id)
  const places =
    valueOf(
      database,
      'SELECT places FROM messages WHERE message BETWEEN ? AND ? AND id = ?',
      firstKeyOf(at),
      lastKeyOf(at),
      id,
    ) ?? valueOf(database, 'SELECT places FROM messages WHERE kind = 2 AND id = ?', id)
  return (places as Uint8Array | null | undefined) ?? undefined
}

function positionsIn(database: StoreDatabase): ReadonlyMap<string, number> {
  return new Map(database.prepare('SELECT name, position FROM files').raw().all() as [string, number][])
}

type MessageValues = readonly [key: number, places: Uint8Array | null, ...MessageColumns]

type CopyValues = readonly [n: number, ...CopyColumns]

type Statements = ReturnType<typeof prepare>

function prepare(database: StoreDatabase) {
  const raw = (sql: string): Statement => database.prepare(sql).raw()
  return {
    byTime: raw(`SELECT message, places, ${messageColumns} FROM messages WHERE message BETWEEN ? AND ? AND id = ?`),
    later: raw(`SELECT message, places, ${messageColumns} FROM messages WHERE kind = 2 AND id = ?`),
    copies: raw(`SELECT n, ${copyColumns} FROM copies WHERE message = ?`),
    isTaken: raw('SELECT 1 FROM messages WHERE message = ?'),
    saveMessage: database.prepare(
      `INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (message) DO UPDATE SET kind = excluded.kind, sender = excluded.sender, size = excluded.size,
         client = excluded.client, user = excluded.user, listener = excluded.listener, header_id = excluded.header_id,
         tags = excluded.tags, subject = excluded.subject, places = excluded.places`,
    ),
    saveCopy: database.prepare('INSERT OR REPLACE INTO copies VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)'),
    saveRemote: database.prepare('INSERT OR REPLACE INTO remote (rowid, text) VALUES (?, ?)'),
    keepPosition: raw(
      `INSERT INTO files (name, position) VALUES (?, ?)
       ON CONFLICT (name) DO UPDATE SET position = excluded.position RETURNING file`,
    ),
  }
}

function messageRow({ byTime, later }: Statements, id: MessageId): MessageValues | undefined {
  const at = acceptedAtOf(id)
  const row: unknown = byTime.get(firstKeyOf(at), lastKeyOf(at), id) ?? later.get(id)
  return row as MessageValues | undefined
}

/** The few words that stand in many rows, as numbers. */
class Names {
  readonly #numbers = new Map<string, number>()
  readonly #texts = new Map<number, string>()
  readonly #add: Statement

  constructor(database: StoreDatabase) {
    this.#add = database.prepare('INSERT INTO names (text) VALUES (?) RETURNING name').raw()
    for (const [name, text] of database.prepare('SELECT name, text FROM names').raw().all() as [number, string][])
      this.#keep(name, text)
  }

  number(text: string): number {
    const known = this.#numbers.get(text)
    if (known !== undefined) return known
    const [name] = this.#add.get(text) as readonly [number]
    this.#keep(name, text)
    return name
  }

  text(name: number): string {
    return this.#texts.get(name) ?? ''
  }

  #keep(name: number, text: string): void {
    this.#numbers.set(text, name)
    this.#texts.set(name, text)
  }
}
