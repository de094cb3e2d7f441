import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

import { loadConfiguration } from '../../shared/config/load.ts'
import { testStore } from '../../shared/store/testing.ts'
import type { Finding } from '../../services/control/finding.ts'
import { storeFinding } from '../../services/control/store-finding.ts'
import { runPrinting } from '../../services/control/testing.ts'
import { databaseCa } from '../support/databases.ts'
import { startEventDatabase } from '../support/event-database.ts'
import type { EventDatabase } from '../support/event-database.ts'
import { freePorts } from '../support/free-port.ts'
import { missingPeers } from '../support/peer.ts'
import { tempFolder } from '../support/temp-folder.ts'

const skip = missingPeers('pg_ctl')
const options = { skip, timeout: 300_000 }
let database: EventDatabase | undefined
let folder: Awaited<ReturnType<typeof tempFolder>> | undefined

before(async () => {
  if (skip !== false) return
  database = await startEventDatabase()
  folder = await tempFolder('preflight')
})
after(async () => {
  await database?.server.stop()
  await folder?.remove()
})

function world(): { readonly database: EventDatabase; readonly at: (name: string) => string } {
  assert.ok(database && folder)
  const { path } = folder
  return { database, at: (name) => join(path, name) }
}

async function configurationFiles(
  password: string,
): Promise<{ readonly smtpdConf: string; readonly pipelineConf: string }> {
  const { database: server, at } = world()
  const files = { smtpdConf: at('smtpd.conf'), pipelineConf: at('pipeline.conf') }
  const url = `postgres://mail@localhost:${server.server.port}/mail`
  await writeFile(files.smtpdConf, 'listen on 127.0.0.1 port 2525\nmatch from any for any reject\n')
  await writeFile(at('password'), `${password}\n`, { mode: 0o600 })
  await writeFile(
    files.pipelineConf,
    `events store postgresql "${url}" password file "${at('password')}" tls ca "${databaseCa}"\n`,
  )
  return files
}

async function look(password = 'secret'): Promise<Finding> {
  const { configuration } = await loadConfiguration({
    ...(await configurationFiles(password)),
    hostname: 'mx.example.org',
  })
  const [finding] = await storeFinding(configuration)
  assert.ok(finding)
  return finding
}

test(
  'preflight says what a ledger of this version will find in PostgreSQL, and changes nothing',
  options,
  async (t) => {
    const { database: server, at } = world()
    await server.clear()
    const empty = await look()
    assert.match(empty.text, /^PostgreSQL \d+\.\d+, no tables yet: the first ledger makes them$/)
    assert.equal(empty.verdict, 'good')
    assert.deepEqual(await server.ask("SELECT 1 FROM pg_namespace WHERE nspname = 'sluice'"), [])

    await (await testStore(t, server.maker)).catchUp()
    assert.match((await look()).text, /, tables of version \d+$/)
    await server.ask("UPDATE facts SET value = 1 WHERE name = 'version'")
    const older = await look()
    assert.match(older.text, /, tables of version 1: the first ledger of this version makes them \d+$/)
    assert.equal(older.verdict, 'good')
    assert.deepEqual(await server.ask("SELECT value FROM facts WHERE name = 'version'"), [['1']])
    await server.ask("UPDATE facts SET value = 99 WHERE name = 'version'")
    const newer = await look()
    assert.match(newer.text, /its tables are of version 99, and this is \d+: a newer Sluice made them$/)
    assert.equal(newer.verdict, 'bad')

    const { smtpdConf, pipelineConf } = await configurationFiles('secret')
    const [port] = await freePorts(1)
    const environment = {
      SMTPD_CONF: smtpdConf,
      PIPELINE_CONF: pipelineConf,
      SLUICE_DATA: at('.'),
      REDIS_URL: `redis://127.0.0.1:${port}`,
      SMTPD_HOSTNAME: 'mx.example.org',
    }
    const whole = await runPrinting(['preflight'], environment)
    assert.match(whole.out, /^BAD {2}message store +PostgreSQL .* version 99/m)
    assert.equal(whole.code, 1)
  },
)

test('preflight names the right that the user of PostgreSQL lacks', options, async (t) => {
  const { server, ask, clear, maker } = world().database
  await clear()
  await ask('CREATE SCHEMA sluice; REVOKE CREATE ON SCHEMA sluice FROM mail')
  const noTables = await look()
  assert.match(noTables.text, /: its user lacks CREATE on schema sluice$/)
  assert.equal(noTables.verdict, 'bad')
  await clear()
  await (await testStore(t, maker)).catchUp()
  await ask('REVOKE UPDATE, DELETE ON sluice.copies FROM mail')
  assert.match((await look()).text, /: its user lacks UPDATE, DELETE on sluice\.copies$/)
  await ask('ALTER ROLE mail SET default_transaction_read_only = on')
  const readOnly = await look()
  await ask('SET TRANSACTION READ WRITE; ALTER ROLE mail RESET default_transaction_read_only')
  assert.match(readOnly.text, /it takes no writes/)

  const stranger = await look('guessed')
  assert.match(stranger.text, /^PostgreSQL localhost:\d+\/mail: password authentication failed/)
  assert.equal(stranger.verdict, 'bad')
  await server.halt()
  const away = await look()
  await server.start()
  assert.match(away.text, /^PostgreSQL localhost:\d+\/mail: .*: mail flows, searches wait until it answers$/)
  assert.equal(away.verdict, 'look')
})
