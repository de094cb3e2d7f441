import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { openAudit } from '../../shared/audit.ts'
import { makeToken } from '../../shared/config/api-tokens.ts'
import { loadConfiguration } from '../../shared/config/load.ts'
import { openTables } from '../../shared/config/tables.ts'
import { shaCrypt } from '../../shared/crypt/sha-crypt.ts'
import { silentLog } from '../../shared/log.ts'
import { selfSignedCertificate } from '../../shared/start/self-signed.ts'
import { sampleAt, sampleOverview, sampleSource } from './sample-source.ts'
import { createSystemDesk } from './system-desk.ts'
import { openTestApp, TestBrowser } from './testing.ts'
import { openTokenUses } from './token-uses.ts'

const hash = (password: string): string => shaCrypt(password, '$6$rounds=1000$abcdefgh')
const operators = { rita: `reader:${hash('glass')}`, ada: `admin:${hash('notes')}` }
const hostile = `<img src=x onerror="hacked()">`
const redis = {
  server: 'redis',
  version: '7.2.4',
  runId: 'x',
  usedBytes: 3_000_000,
  maxBytes: 0,
  tooFull: false,
  refusals: [],
  warnings: [`it may lose jobs ${hostile}`],
} as const

/** A desk of a configuration with a certificate, operators and tokens on disk. */
async function open(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'system-page-'))
  const at = (...names: readonly string[]): string => join(folder, ...names)
  const { cert, key } = await selfSignedCertificate('mx.example.org')
  const { entry } = makeToken('backup', ['read', 'queues'])
  await mkdir(at('spool', 'writer'), { recursive: true })
  await mkdir(at('events'))
  for (const [name, text] of [
    ['cert.pem', cert],
    ['key.pem', key],
    ['operators', `ada ${operators.ada}\nrita ${operators.rita}\n`],
    ['tokens', `backup ${entry}\n`],
    ['spool/writer/a', 'x'.repeat(2_048)],
    ['events/a.ndjson', 'x'.repeat(10)],
    ['events/events.db', 'x'.repeat(4_096)],
    [
      'smtpd.conf',
      `pki "mx" cert "${at('cert.pem')}" key "${at('key.pem')}"
table operators file:${at('operators')}
table tokens file:${at('tokens')}
listen on 127.0.0.1 port 2525 tls pki "mx"
action "out" relay
match from local for any action "out"
`,
    ],
    ['pipeline.conf', 'users from any\ndashboard listen "127.0.0.1:8080" auth <operators> tokens <tokens>\n'],
  ] as const)
    await writeFile(at(name), text)
  const { configuration } = await loadConfiguration({
    smtpdConf: at('smtpd.conf'),
    pipelineConf: at('pipeline.conf'),
    hostname: 'mx.example.org',
  })
  const time = { now: Date.now() }
  const clock = { now: () => time.now }
  const log = silentLog()
  const [tables, audit] = [openTables(), await openAudit(folder, { log, clock })]
  const tokenUses = await openTokenUses(folder, { clock, log })
  t.after(async () => {
    await tokenUses.close()
    await audit.close()
    await tables.close()
    await rm(folder, { recursive: true })
  })
  const desk = createSystemDesk({
    configuration,
    tables,
    dataFolder: folder,
    spool: { volume: { name: at('spool'), folder: at('spool') }, freeBytes: async () => 5_000_000_000 },
    redis: () => redis,
    storePlace: { kind: 'sqlite' },
    audit,
    tokenUses,
    clock,
  })
  return { folder, desk, audit, tokenUses, time, clock, log }
}

test('the desk tells sizes, certificates with their days, and who may come in since when; no secrets', async (t) => {
  const { desk, audit, tokenUses, time, folder, clock, log } = await open(t)
  // Put in after the start.
  await writeFile(join(folder, 'operators'), `ada ${operators.ada}\nrita ${operators.rita}\nbroken plain\n`)
  audit.record({ by: 'ada', from: '192.0.2.1', action: 'sign in', outcome: 'done' })
  audit.record({ by: 'rita', from: '192.0.2.1', action: 'sign in', outcome: 'refused' })
  tokenUses.note('backup')
  const { certificates, spool, store, journal } = await desk.look()
  assert.deepEqual([spool.folder?.bytes, spool.folder?.files, spool.freeBytes], [2_048, 1, 5_000_000_000])
  assert.deepEqual([store.bytes, journal.bytes, journal.files], [4_096, 10, 1])
  const [one] = certificates
  assert.deepEqual(
    [one?.pki, one?.listeners, one?.found?.names, one?.found?.issuer],
    ['mx', ['127.0.0.1:2525'], ['mx.example.org', 'localhost', '127.0.0.1'], 'itself'],
  )
  const people = await desk.people()
  assert.deepEqual(people, {
    users: [{ name: 'ada', role: 'admin', signedInAt: time.now }, { name: 'broken' }, { name: 'rita', role: 'reader' }],
    tokens: [{ name: 'backup', scopes: ['read', 'queues'], usedAt: time.now }],
  })
  assert.doesNotMatch(JSON.stringify(people), /\$6\$|[0-9a-f]{64}/)
  await tokenUses.close()
  const again = await openTokenUses(folder, { clock, log })
  assert.equal(again.all().get('backup'), time.now)
  await again.close()
})

test('a certificate that cannot be read, or is over, is told', async (t) => {
  const { desk, folder, time } = await open(t)
  const source = sampleSource({ overview: sampleOverview({ at: time.now }) })
  const { app } = await openTestApp(t, { source, operators, system: desk })
  const ada = new TestBrowser(app)
  await ada.signIn('ada', 'notes')
  assert.match((await ada.get('/system')).body, /mx\.example\.org localhost 127\.0\.0\.1[^]*itself[^]*\d+ days/)
  await rm(join(folder, 'cert.pem'))
  time.now += 60_000
  assert.match((await ada.get('/system')).body, /cannot be read[^]*ENOENT/)
})

test('the page shows what is listened on with its clients, processes with versions, and people to admins alone', async (t) => {
  const { desk } = await open(t)
  const listens = 'smtp://127.0.0.1:2525 (STARTTLS)'
  const service = {
    name: 'inbound',
    host: 'one',
    pid: 7,
    startedAt: sampleAt - 60_000,
    beatAt: sampleAt,
    silent: false,
    listens: [listens],
    troubles: [],
    versions: { sluice: '0.1.0', node: 'v20.20.0' },
    configuration: { revision: '4f2a90c1d7e3' },
  }
  const services = [
    { ...service, connections: { [listens]: 3 } },
    { ...service, pid: 8, connections: { [listens]: 2 } },
    { ...service, pid: 8, name: 'filter', listens: [] },
  ]
  const { token, entry } = makeToken('ci', ['read', 'audit'])
  const { app, audit } = await openTestApp(t, {
    source: sampleSource({ overview: sampleOverview({ services }) }),
    system: desk,
    operators,
    apiTokens: { ci: entry },
  })
  audit.record({ by: 'ada', from: '192.0.2.1', action: 'pause queue', about: 'relay', outcome: 'done' })
  audit.record({ by: hostile, from: '192.0.2.9', action: 'remove message', about: 'x', outcome: 'refused' })
  const ada = new TestBrowser(app)
  await ada.signIn('ada', 'notes')
  const { body } = await ada.get('/system')
  assert.match(body, /smtp:\/\/127\.0\.0\.1:2525 \(STARTTLS\)[^]*data-label="Connected now" class="num"><div>5</)
  assert.match(body, /8 on one[^]*inbound, filter[^]*0\.1\.0[^]*v20\.20\.0[^]*4f2a90c1d7e3/)
  assert.match(body, /redis 7\.2\.4, 2\.9 MiB[^]*it may lose jobs &lt;img/)
  assert.match(body, /Who may sign in[^]*ada[^]*admin[^]*Tokens of the API[^]*backup[^]*read, queues[^]*never seen/)
  assert.doesNotMatch(body, /<img|\$6\$/)

  const found = (await ada.get('/system?word=PAUSE')).body
  assert.match(found, /value="PAUSE"[^]*href="\/queues\/relay"/)
  assert.doesNotMatch(found, /192\.0\.2\.9/)
  assert.match((await ada.get('/system?word=%22nobody%22')).body, /No entry has it/)

  const rita = new TestBrowser(app)
  await rita.signIn('rita', 'glass')
  const plain = (await rita.get('/system?word=pause')).body
  assert.doesNotMatch(plain, /Who may sign in|Tokens of the API|192\.0\.2\.1/)
  assert.match(plain, /It is shown to those who signed in as admin/)

  const headers = { authorization: `Bearer ${token}` }
  const told = (await app.inject({ url: '/api/v1/system', headers })).json<Record<string, unknown>>()
  assert.deepEqual((told['processes'] as readonly { readonly connections?: unknown }[])[0]?.connections, {
    [listens]: 3,
  })
  const users = await app.inject({ url: '/api/v1/users', headers })
  assert.deepEqual(users.json<{ readonly tokens: readonly object[] }>().tokens, [
    { name: 'backup', scopes: ['read', 'queues'] },
  ])
  const entries = await app.inject({ url: '/api/v1/audit?word=remove', headers })
  assert.equal(entries.json<{ readonly entries: readonly object[] }>().entries.length, 1)
})
