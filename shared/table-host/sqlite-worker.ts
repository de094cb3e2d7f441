import { statSync } from 'node:fs'
import { parentPort } from 'node:worker_threads'

import Database from 'libsql'

/** Entry of the worker thread that sqlite.ts starts. */
export interface SqliteQuestion {
  readonly number: number
  readonly path: string
  /** For a database that another one writes to. */
  readonly busyMs: number
  readonly text: string
  readonly values: readonly string[]
}

export type SqliteAnswer =
  | { readonly number: number; readonly rows: readonly (readonly unknown[])[] }
  | { readonly number: number; readonly failure: string }

interface Opened {
  readonly database: Database.Database
  readonly file: string
}

let opened: Opened | undefined

parentPort?.on('message', (question: SqliteQuestion) => {
  parentPort?.postMessage(answer(question))
})

function answer({ number, text, values, ...place }: SqliteQuestion): SqliteAnswer {
  try {
    const rows = database(place)
      .prepare(text)
      .raw()
      .all(...values)
    return { number, rows: rows.filter((row): row is unknown[] => Array.isArray(row)) }
  } catch (error) {
    return { number, failure: error instanceof Error ? error.message : String(error) }
  }
}

/** Opened anew when another file has taken its place. A file that is not there is none: it would be made. */
function database({ path, busyMs }: Pick<SqliteQuestion, 'path' | 'busyMs'>): Database.Database {
  const { dev, ino } = statSync(path)
  const file = `${dev}/${ino}`
  if (opened?.file === file) return opened.database
  opened?.database.close()
  const database = new Database(path, { timeout: busyMs })
  database.exec('PRAGMA query_only = on')
  opened = { database, file }
  return database
}
