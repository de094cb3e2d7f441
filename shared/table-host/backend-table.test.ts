import assert from 'node:assert/strict'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { TestContext } from 'node:test'

import Database from 'libsql'

import type { ExternalTable } from '../config/external-table.ts'
import type { BackendKind } from '../config/table-backend.ts'
import { openRedisLookup } from '../queue/redis-lookup.ts'
import { redisMissing, startTestRedis } from '../queue/testing.ts'
import { openBackendTable } from './backend-table.ts'
import { startDirectory, startMysql, startPostgres } from './testing-databases.ts'
import type { Answer } from './testing-databases.ts'

const folder = mkdtempSync(join(tmpdir(), 'backends-'))
after(() => rmSync(folder, { recursive: true }))

let count = 0

/** With more time than any machine needs to start a thread. */
function opened(t: TestContext, kind: BackendKind, settings: string): { table: ExternalTable; config: string } {
  const config = join(folder, `${kind}-${(count += 1)}.conf`)
  writeFileSync(config, `${settings}\ntimeout 60\n`)
  const table = openBackendTable(kind, config)
  t.after(() => table.close())
  return { table, config }
}

function database(name: string, statements: string): string {
  const path = join(folder, name)
  const made = new Database(path)
  made.exec(statements)
  made.close()
  return path
}

const shop = `
  CREATE TABLE aliases (address TEXT, target TEXT);
  INSERT INTO aliases VALUES ('joe@a.org', 'ann@a.org'), ('joe@a.org', 'eve'), ('nobody@a.org', NULL);
  CREATE TABLE users (login TEXT, hash TEXT, uid INTEGER, home BLOB);
  INSERT INTO users VALUES ('joe', '$2b$10$x', 1000, X'2F686F6D65');
`

test('sqlite: rows are values, columns are fields, NULL is nothing', async (t) => {
  const path = database('shop.db', shop)
  const { table } = opened(
    t,
    'sqlite',
    [
      `dbpath ${path}`,
      'query_alias SELECT target FROM aliases WHERE address = ?',
      'query_credentials select login, hash from users where login=?',
      "query_userinfo select uid, uid, home from users where login = '%u' and 'a.org' = '%d'",
      'fetch_source select login from users union select address from aliases order by 1',
    ].join('\n'),
  )
  assert.deepEqual(await table.lookup('alias', 'joe@a.org'), { value: 'ann@a.org, eve' })
  assert.deepEqual(await table.lookup('alias', 'nobody@a.org'), { value: undefined })
  assert.deepEqual(await table.lookup('alias', "x' or '1'='1"), { value: undefined })
  assert.deepEqual(await table.lookup('credentials', 'joe'), { value: 'joe:$2b$10$x' })
  assert.deepEqual(await table.lookup('userinfo', 'joe@a.org'), { value: '1000:1000:/home' })
  assert.deepEqual(await table.check('userinfo', 'joe'), { value: undefined })
  const fetched = [await table.fetch('source'), await table.fetch('source'), await table.fetch('source')]
  assert.deepEqual(
    fetched.map(({ value }) => value),
    ['joe', 'joe@a.org', 'nobody@a.org'],
  )
  await assert.rejects(table.lookup('domain', 'a.org'), /have no query for domain/)
})

test('sqlite: nothing is written, and a file that is not there is not made', async (t) => {
  const path = join(folder, 'missing.db')
  const { table } = opened(t, 'sqlite', `dbpath ${path}\nquery select 1 where ? = 'x'\n`)
  await assert.rejects(table.lookup('alias', 'x'), /ENOENT/)
  database('missing.db', shop)
  assert.deepEqual(await table.lookup('alias', 'x'), { value: '1' })
  const writing = opened(t, 'sqlite', `dbpath ${path}\nquery with x as (select ?) select 1 from nowhere\n`)
  await assert.rejects(writing.table.lookup('alias', 'x'), /nowhere/)
})

test('sqlite: a file that took the place of another is read, and new settings at a reload', async (t) => {
  const path = database('live.db', shop)
  const settings = `dbpath ${path}\nquery select target from aliases where address = ?\n`
  const { table, config } = opened(t, 'sqlite', settings)
  assert.deepEqual(await table.lookup('alias', 'joe@a.org'), { value: 'ann@a.org, eve' })
  renameSync(
    database('next.db', "CREATE TABLE aliases (address, target); INSERT INTO aliases VALUES ('joe@a.org', 'new')"),
    path,
  )
  assert.deepEqual(await table.lookup('alias', 'joe@a.org'), { value: 'new' })
  writeFileSync(config, `dbpath ${path}\nquery select 'other' where ? <> ''\ntimeout 60\n`)
  await table.update()
  assert.deepEqual(await table.lookup('alias', 'joe@a.org'), { value: 'other' })
  writeFileSync(config, 'nonsense here\n')
  await assert.rejects(table.update(), /line 1: dbpath is missing/)
  assert.deepEqual(await table.lookup('alias', 'joe@a.org'), { value: 'other' })
})

test('redis: a key, a field of a hash, a set; other kinds are failures', { skip: await redisMissing() }, async (t) => {
  const server = await startTestRedis()
  t.after(() => server.close())
  assert.ok(server.address.kind === 'socket')
  const { path } = server.address
  const redis = openRedisLookup({ place: { kind: 'unix', path }, database: 0, tls: false, timeoutMs: 60_000 })
  t.after(() => redis.close())
  await redis.ask('SET', 'alias:joe', 'ann, eve')
  await redis.ask('HSET', 'users', 'joe', '1000:100:/home/joe')
  await redis.ask('SADD', 'domains', 'a.org')
  await redis.ask('SADD', 'list', 'one')
  const { table } = opened(
    t,
    'redis',
    [
      `socket ${path}`,
      'query_alias GET alias:%s',
      'query_userinfo HGET users %u',
      'query_domain SISMEMBER domains %d',
      'query_mailaddrmap SMEMBERS %s',
    ].join('\n'),
  )
  assert.deepEqual(await table.lookup('alias', 'joe'), { value: 'ann, eve' })
  assert.deepEqual(await table.lookup('alias', 'nobody'), { value: undefined })
  assert.deepEqual(await table.lookup('userinfo', 'joe@a.org'), { value: '1000:100:/home/joe' })
  assert.deepEqual(await table.check('domain', 'x@a.org'), { value: '' })
  assert.deepEqual(await table.check('domain', 'x@b.org'), { value: undefined })
  assert.deepEqual(await table.check('domain', 'b.org'), { value: undefined })
  assert.deepEqual(await table.lookup('mailaddrmap', 'list'), { value: 'one' })
  await assert.rejects(table.lookup('mailaddrmap', 'users'), /WRONGTYPE/)
  await server.stop()
  await assert.rejects(table.lookup('alias', 'joe'))
  await server.start()
  assert.deepEqual(await soon(table, 'joe'), { value: 'ann, eve' })
})

/** A connection that was lost is made again after a moment. */
async function soon(table: ExternalTable, key: string): Promise<unknown> {
  for (;;) {
    try {
      return await table.lookup('alias', key)
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}

test('settings that are wrong or gone fail the question, and are read again for the next', async (t) => {
  const { table, config } = opened(t, 'redis', 'query DEL %s\n')
  await assert.rejects(table.lookup('alias', 'joe'), /line 1: DEL: a command is one of/)
  rmSync(config)
  await assert.rejects(table.lookup('alias', 'joe'), /ENOENT/)
  writeFileSync(config, 'socket /nowhere/redis\nquery GET %s\n')
  await assert.rejects(table.lookup('alias', 'joe'), /ENOENT|nowhere/)
  await table.close()
  await assert.rejects(table.lookup('alias', 'joe'), /closed/)
})

const answers: Answer = (key) => (key === "o'joe@a.org" ? ['ann@a.org'] : undefined)
const login = 'username mail\npassword secret\ndatabase shop\n'

test('postgres: a key is a parameter; a server that ended the connection is asked again, one that is away fails', async (t) => {
  const { place, hangUp, close } = await startPostgres(t, answers)
  const query = "query select target from aliases where address = '%s'\n"
  const { table } = opened(t, 'postgres', `host 127.0.0.1\nport ${place.port}\n${login}${query}`)
  await answersKeys(table, hangUp, close)
})

test('mysql: a key is a parameter; a server that ended the connection is asked again, one that is away fails', async (t) => {
  const { place, hangUp, close } = await startMysql(t, answers)
  const query = 'query select target from aliases where address = ?\n'
  const { table } = opened(t, 'mysql', `host 127.0.0.1\nport ${place.port}\n${login}${query}`)
  await answersKeys(table, hangUp, close)
})

test('ldap: a key is a value; a server that ended the connection is asked again, one that is away fails', async (t) => {
  const { place, hangUp, close } = await startDirectory(t, answers)
  const search = 'basedn dc=x\nfilter (mail=%s)\nattributes cn\n'
  const url = `url ldap://127.0.0.1:${place.port}\n`
  const { table } = opened(t, 'ldap', `${url}username cn=a\npassword secret\n${search}`)
  const refused = opened(t, 'ldap', `${url}username cn=a\npassword wrong\n${search}`)
  await assert.rejects(refused.table.lookup('alias', 'x'), /refuses cn=a/)
  await answersKeys(table, hangUp, close)
})

test('ldap: a key cannot change the filter', async (t) => {
  const { place } = await startDirectory(t, (key) => [key])
  const { table } = opened(
    t,
    'ldap',
    `url ldap://127.0.0.1:${place.port}\nbasedn dc=x\nfilter (mail=%s)\nattributes cn\n`,
  )
  for (const key of ['*', 'a)(uid=*', 'a\\2a', 'jö']) assert.deepEqual(await table.lookup('alias', key), { value: key })
})

async function answersKeys(
  table: ExternalTable,
  hangUp: () => Promise<void>,
  close: () => Promise<void>,
): Promise<void> {
  assert.deepEqual(await table.lookup('alias', "o'joe@a.org"), { value: 'ann@a.org' })
  assert.deepEqual(await table.check('alias', 'nobody'), { value: undefined })
  await hangUp()
  assert.deepEqual(await table.lookup('alias', "o'joe@a.org"), { value: 'ann@a.org' })
  await close()
  await assert.rejects(table.lookup('alias', "o'joe@a.org"))
}
