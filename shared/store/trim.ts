import { statSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'

import { valueOf } from './database.ts'
import type { StoreDatabase } from './database.ts'
import { journalFiles } from './journal-tail.ts'
import type { JournalTail } from './journal-tail.ts'
import { firstKeyOf } from './message-key.ts'

/** What is kept: nothing older, and no more octets on disk than that. */
export interface TrimQuestion {
  /** Epoch ms. */
  readonly before: number
  readonly maxBytes?: number
}

interface Trimmed {
  readonly folder: string
  readonly database: StoreDatabase
  readonly tail: JournalTail
}

/** Messages of one step: some tens of milliseconds. */
const atOnce = 500
/** Pages that are given back to the disk in one step. */
const vacuumPages = 500
const trimmedFact = 'trimmed before'

/**
 * One short step of cleaning up; true: there is more to do. A message goes with all that is known of it, once it is settled. To be below
 * the size, the file of the journal that was written to longest ago goes, if it is read to its end and not the last, and with it the
 * messages of its time.
 */
export function trimStep(store: Trimmed, { before, maxBytes }: TrimQuestion): boolean {
  const { database } = store
  const over = maxBytes !== undefined && usedBytes(store) > maxBytes
  const limit = over ? olderLimit(store) : undefined
  if (limit !== undefined) setTrimmed(database, limit)
  const deleted = deleteMessages(database, Math.max(before, trimmedBefore(database)))
  forgetFiles(store)
  const free = Number(valueOf(database, 'PRAGMA freelist_count'))
  if (free > vacuumPages) database.prepare(`PRAGMA incremental_vacuum(${vacuumPages})`).all()
  return deleted === atOnce || limit !== undefined
}

/** Of the journal, and of the database's pages that hold something. */
export function usedBytes({ folder, database }: Trimmed): number {
  const pages = Number(valueOf(database, 'PRAGMA page_count')) - Number(valueOf(database, 'PRAGMA freelist_count'))
  const journal = journalFiles(folder).reduce((sum, name) => sum + (sizeOf(folder, name)?.size ?? 0), 0)
  return pages * Number(valueOf(database, 'PRAGMA page_size')) + journal
}

/** Takes the oldest file away; everything before its last line may go. */
function olderLimit(store: Trimmed): number | undefined {
  const { folder, tail } = store
  const files = journalFiles(folder)
    .map((name) => ({ name, found: sizeOf(folder, name) }))
    .flatMap(({ name, found }) => (found === undefined ? [] : [{ name, size: found.size, at: found.mtimeMs }]))
    .sort((one, other) => one.at - other.at)
  const [oldest] = files.slice(0, -1).filter(({ name, size }) => tail.hasRead(name, size))
  if (oldest === undefined) return undefined
  unlinkSync(join(folder, oldest.name))
  return oldest.at
}

/** Those that are settled: what waits for weeks is still to be found. Returns how many went. */
function deleteMessages(database: StoreDatabase, before: number): number {
  const keys = database
    .prepare(
      `SELECT m.message FROM messages m WHERE m.message < ?
       AND NOT EXISTS (SELECT 1 FROM copies c WHERE c.message = m.message AND c.state < 3)
       ORDER BY m.message LIMIT ${atOnce}`,
    )
    .raw()
    .all(firstKeyOf(before)) as readonly [number][]
  if (keys.length === 0) return 0
  const drop = [
    'DELETE FROM copies WHERE message = ?',
    'DELETE FROM remote WHERE rowid = ?',
    'DELETE FROM messages WHERE message = ?',
  ]
  const statements = drop.map((sql) => database.prepare(sql))
  database.exec('BEGIN IMMEDIATE')
  try {
    for (const [key] of keys) for (const statement of statements) statement.run(key)
    database.exec('COMMIT')
  } catch (error) {
    database.exec('ROLLBACK')
    throw error
  }
  return keys.length
}

/** Files that were deleted, here or by age, are no longer known; their numbers are not used again. */
function forgetFiles({ database, tail }: Trimmed): void {
  const forget = database.prepare('DELETE FROM files WHERE name = ?')
  for (const name of tail.gone()) {
    forget.run(name)
    tail.forget(name)
  }
}

function trimmedBefore(database: StoreDatabase): number {
  const at = valueOf(database, 'SELECT value FROM facts WHERE name = ?', trimmedFact)
  return typeof at === 'number' ? at : 0
}

function setTrimmed(database: StoreDatabase, at: number): void {
  database.prepare('INSERT OR REPLACE INTO facts VALUES (?, ?)').run(trimmedFact, Math.max(at, trimmedBefore(database)))
}

function sizeOf(folder: string, name: string) {
  return statSync(join(folder, name), { throwIfNoEntry: false })
}
