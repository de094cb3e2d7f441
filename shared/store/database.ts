import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'

import Database from 'libsql'

import type { SqlValue } from './sql.ts'

/** The only module of the store that knows the driver. Its calls block: threads alone make them. */
export type StoreDatabase = Database.Database
export type Statement = Database.Statement

/** Raised with each change of the tables: a store of another version is made anew from the journals. */
const version = 3

/** How long a reader or the writer waits for the other. */
const busyMs = 5_000

/** An address as the indexes have it, `example.org@jane`: one index finds both an address and all of a domain. */
export function byDomain(column: string): string {
  return `lower(substr(${column}, instr(${column}, '@') + 1) || '@' || substr(${column}, 1, instr(${column}, '@') - 1))`
}

/** What stands before the `@`, in small letters. */
export function localOf(column: string): string {
  return `lower(substr(${column}, 1, instr(${column}, '@') - 1))`
}

const tables = `
CREATE TABLE facts (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE files (file INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, position INTEGER NOT NULL);
CREATE TABLE names (name INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE messages (
  message INTEGER PRIMARY KEY,
  id TEXT NOT NULL,
  kind INTEGER NOT NULL,
  sender TEXT COLLATE NOCASE,
  size INTEGER,
  client TEXT,
  user TEXT COLLATE NOCASE,
  listener INTEGER,
  header_id TEXT,
  tags INTEGER,
  subject TEXT,
  places BLOB
);
CREATE TABLE copies (
  message INTEGER NOT NULL,
  n INTEGER NOT NULL,
  address TEXT COLLATE NOCASE,
  state INTEGER NOT NULL,
  stage INTEGER,
  rules INTEGER,
  class INTEGER,
  remote TEXT,
  next_at INTEGER,
  at INTEGER NOT NULL,
  PRIMARY KEY (message, n)
) WITHOUT ROWID;
CREATE INDEX messages_sender ON messages (${byDomain('sender')}) WHERE sender IS NOT NULL;
CREATE INDEX messages_local ON messages (${localOf('sender')}) WHERE sender IS NOT NULL;
CREATE INDEX messages_client ON messages (client) WHERE client IS NOT NULL;
CREATE INDEX messages_user ON messages (user) WHERE user IS NOT NULL;
CREATE INDEX messages_header_id ON messages (header_id) WHERE header_id IS NOT NULL;
CREATE INDEX messages_tags ON messages (tags) WHERE tags IS NOT NULL;
CREATE INDEX messages_later ON messages (id) WHERE kind = 2;
CREATE INDEX copies_address ON copies (${byDomain('address')}, message);
CREATE INDEX copies_local ON copies (${localOf('address')}, message);
CREATE INDEX copies_rules ON copies (rules, message) WHERE rules IS NOT NULL;
CREATE INDEX copies_class ON copies (class, message) WHERE class IS NOT NULL;
CREATE INDEX copies_open ON copies (message, n) WHERE state < 3;
CREATE INDEX copies_ended ON copies (state, message) WHERE state > 4;
CREATE VIRTUAL TABLE remote USING fts5 (text, content = '', contentless_delete = 1, detail = none);
`

/** Why the database had to be made anew; absent: it was as it was left. */
export interface OpenedDatabase {
  readonly database: StoreDatabase
  readonly putAside?: { readonly reason: string; readonly as?: string }
}

/**
 * Opens the database to write in, and makes it when it is not there. One that is damaged or of another version is put aside, or
 * deleted: all that it holds can be read again from the journals.
 */
export function openForWriting(path: string, nowAt: number): OpenedDatabase {
  mkdirSync(dirname(path), { recursive: true })
  if (!existsSync(path)) return { database: create(path) }
  let database: StoreDatabase | undefined
  try {
    database = connect(path)
    const fault = faultOf(database)
    if (fault === undefined) return { database }
    database.close()
    return remake(path, fault, nowAt)
  } catch (error) {
    database?.close()
    if (!isDamage(error)) throw error
    return remake(path, { reason: (error as Error).message, isDamaged: true }, nowAt)
  }
}

/** For questions; nothing can be changed by it. @throws when there is none yet, or it is of another version */
export function openForReading(path: string): StoreDatabase {
  if (!existsSync(path)) throw new Error(`there is no message store in ${path} yet: the service ledger makes it`)
  const database = new Database(path, { timeout: busyMs })
  database.exec('PRAGMA query_only = on; PRAGMA cache_size = -16000; PRAGMA mmap_size = 1073741824')
  const found = versionOf(database)
  if (found === version) return database
  database.close()
  throw new Error(`the message store is of version ${found}, and this reads version ${version}`)
}

/** The file is not what a database should be; anything else (a full disk, a lock) passes. */
export function isDamage(error: unknown): boolean {
  const { code } = error as { readonly code?: unknown }
  return typeof code === 'string' && (code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB')
}

/** Closes it so that the next start need not check it. */
export function closeAfterWriting(database: StoreDatabase): void {
  setFact(database, 'open', 0)
  database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
  database.close()
}

/** Puts the files out of the way. The name it has now; absent when it is deleted. */
export function putAside(path: string, nowAt: number): string {
  const aside = `${path}.damaged-${new Date(nowAt)
    .toISOString()
    .replaceAll(/[^0-9]/g, '')
    .slice(0, 14)}`
  for (const suffix of ['-wal', '-shm']) rmSync(path + suffix, { force: true })
  renameSync(path, aside)
  return aside
}

function connect(path: string): StoreDatabase {
  const database = new Database(path, { timeout: busyMs })
  database.exec(`
    PRAGMA auto_vacuum = incremental;
    PRAGMA journal_mode = wal;
    PRAGMA synchronous = normal;
    PRAGMA cache_size = -32000;
    PRAGMA wal_autocheckpoint = 8000;
    PRAGMA journal_size_limit = 67108864;
  `)
  return database
}

function create(path: string): StoreDatabase {
  const database = connect(path)
  database.exec(`BEGIN IMMEDIATE; ${tables} PRAGMA user_version = ${version}; COMMIT`)
  setFact(database, 'open', 1)
  return database
}

function remake(path: string, fault: Fault, nowAt: number): OpenedDatabase {
  const as = fault.isDamaged ? putAside(path, nowAt) : undefined
  for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix, { force: true })
  return { database: create(path), putAside: { reason: fault.reason, ...(as === undefined ? {} : { as }) } }
}

interface Fault {
  readonly reason: string
  readonly isDamaged: boolean
}

/** One that was closed properly is not looked through: that takes seconds for a million messages. */
function faultOf(database: StoreDatabase): Fault | undefined {
  const found = versionOf(database)
  if (found !== version) return { reason: `it is of version ${found}, and this is ${version}`, isDamaged: false }
  const wasOpen = valueOf(database, "SELECT value FROM facts WHERE name = 'open'") !== 0
  const said = wasOpen ? String(valueOf(database, 'PRAGMA quick_check(1)')) : 'ok'
  if (said !== 'ok') return { reason: said, isDamaged: true }
  setFact(database, 'open', 1)
  return undefined
}

function versionOf(database: StoreDatabase): number {
  return Number(valueOf(database, 'PRAGMA user_version'))
}

/** The first column of the first row. */
export function valueOf(database: StoreDatabase, sql: string, ...values: readonly SqlValue[]): unknown {
  const row: unknown = database
    .prepare(sql)
    .raw()
    .get(...values)
  return Array.isArray(row) ? row[0] : undefined
}

function setFact(database: StoreDatabase, name: string, value: number): void {
  database.prepare('INSERT OR REPLACE INTO facts VALUES (?, ?)').run(name, value)
}
