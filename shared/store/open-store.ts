import { StoreReader } from './store-reader.ts'
import { readSqlite, writeSqlite } from './sqlite-store.ts'
import type { SqliteOptions } from './sqlite-store.ts'
import { StoreWriter } from './store-writer.ts'

/** For questions. @throws when there is no store, or one of another version */
export async function openStoreReader(folder: string): Promise<StoreReader> {
  return new StoreReader(folder, readSqlite(folder))
}

/** To write in: one per data folder. */
export async function openStoreWriter(options: SqliteOptions): Promise<StoreWriter> {
  const { folder, now } = options
  return new StoreWriter({ folder, now, store: writeSqlite(options) })
}
