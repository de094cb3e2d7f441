import { readFile } from 'node:fs/promises'
import type { TestContext } from 'node:test'

import pg from 'pg'

import { readPostgres } from '../../shared/store/postgres/read.ts'
import { writePostgres } from '../../shared/store/postgres/write.ts'
import type { PostgresPlace } from '../../shared/store/store-place.ts'
import type { StoreMaker } from '../../shared/store/testing.ts'
import { atEnd } from './at-end.ts'
import { databaseCa, startPostgresServer } from './databases.ts'
import type { DatabaseServer } from './databases.ts'

/** A PostgreSQL with an empty database for the message store. */
export interface EventDatabase {
  readonly server: DatabaseServer
  readonly place: PostgresPlace
  readonly maker: StoreMaker
  /** As the owner of the tables. */
  ask(text: string): Promise<readonly unknown[][]>
  /** As if nobody had been there. */
  clear(): Promise<void>
}

export async function startEventDatabase(): Promise<EventDatabase> {
  const server = await startPostgresServer('GRANT CREATE ON DATABASE mail TO mail;')
  const ca = await readFile(databaseCa, 'utf8')
  const place: PostgresPlace = {
    kind: 'postgresql',
    place: { kind: 'tcp', host: 'localhost', port: server.port },
    user: 'mail',
    password: 'secret',
    database: 'mail',
    tls: { ca },
    hostName: 'mx1.sluice.test',
  }
  async function ask(text: string): Promise<readonly unknown[][]> {
    const client = new pg.Client({
      host: 'localhost',
      port: server.port,
      user: 'mail',
      password: 'secret',
      database: 'mail',
      ssl: { ca },
      options: '-c search_path=sluice',
    })
    await client.connect()
    try {
      return (await client.query<unknown[]>({ text, rowMode: 'array' })).rows
    } finally {
      await client.end()
    }
  }
  return {
    server,
    place,
    maker: {
      open: async (folder) => writePostgres(folder, place),
      read: async (folder) => readPostgres(folder, place, 120_000),
    },
    ask,
    async clear() {
      await ask('DROP SCHEMA IF EXISTS sluice CASCADE')
    },
  }
}

/** Stopped when the test ends. */
export async function eventDatabaseOf(t: TestContext): Promise<EventDatabase> {
  const database = await startEventDatabase()
  atEnd(t, () => database.server.stop())
  return database
}
