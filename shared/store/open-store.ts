import { readSqlite, writeSqlite } from './sqlite-store.ts'
import type { SqliteOptions } from './sqlite-store.ts'
import type { ReadableStore, WritableStore } from './store-database.ts'
import type { StorePlace } from './store-place.ts'
import { StoreReader } from './store-reader.ts'
import { StoreWriter } from './store-writer.ts'

/** For a command, that may add up millions of rows. */
const patientMs = 120_000

/**
 * For questions.
 * @param folder of the journal
 * @param limitMs for one question to a database elsewhere
 * @throws when there is no store in the folder, or one of another version
 */
export async function openStoreReader(folder: string, place: StorePlace, limitMs = patientMs): Promise<StoreReader> {
  return new StoreReader(folder, await readable(folder, place, limitMs))
}

export interface StoreOptions extends SqliteOptions {
  readonly place: StorePlace
}

/** To write in: one per data folder. */
export async function openStoreWriter(options: StoreOptions): Promise<StoreWriter> {
  const { folder, now } = options
  return new StoreWriter({ folder, now, store: await writable(options) })
}

/** The client of PostgreSQL is loaded by those who use it. */
async function readable(folder: string, place: StorePlace, limitMs: number): Promise<ReadableStore> {
  switch (place.kind) {
    case 'sqlite':
      return readSqlite(folder)
    case 'postgresql':
      return (await import('./postgres/read.ts')).readPostgres(folder, place, limitMs)
  }
}

async function writable(options: StoreOptions): Promise<WritableStore> {
  const { folder, place } = options
  switch (place.kind) {
    case 'sqlite':
      return writeSqlite(options)
    case 'postgresql':
      return (await import('./postgres/write.ts')).writePostgres(folder, place)
  }
}
