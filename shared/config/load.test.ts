import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { ConfigurationError, loadConfiguration, type LoadOptions } from './load.ts'
import { toJson } from './to-json.ts'

const folder = mkdtempSync(join(tmpdir(), 'load-'))
after(() => rmSync(folder, { recursive: true }))
mkdirSync(join(folder, 'tables'))
for (const name of ['cert.pem', 'key.pem', 'dkim.pem']) writeFileSync(join(folder, name), 'x')
writeFileSync(join(folder, 'tables/users'), 'joe $2b$10$secret\n')

const smtpd = [
  'pki here cert "cert.pem" key "key.pem"',
  'table users "./tables/users"',
  'table logins { l = "user:secretpassword" }',
  'listen on 127.0.0.1 port 2587 tls-require pki here auth <users>',
  'action "scan" relay host "queue://filter"',
  'action "up" relay host "smtps://l@mx.example.org" auth <logins>',
  'match tag Filtered for any action "up"',
  'match for any action "scan"',
].join('\n')

async function load(smtpdConf: string, pipelineConf = '', options: Partial<LoadOptions> = {}) {
  const paths = { smtpdConf: join(folder, 'smtpd.conf'), pipelineConf: join(folder, 'pipeline.conf') }
  writeFileSync(paths.smtpdConf, smtpdConf)
  writeFileSync(paths.pipelineConf, pipelineConf)
  return loadConfiguration({ ...paths, hostname: 'mail.example.org', ...options })
}

async function refused(smtpdConf: string, pipelineConf = ''): Promise<ConfigurationError> {
  try {
    await load(smtpdConf, pipelineConf)
  } catch (error) {
    assert.ok(error instanceof ConfigurationError)
    return error
  }
  throw new Error('it was accepted')
}

test('relative paths start at the folder of the file that names them', async () => {
  const { configuration, warnings } = await load(smtpd, 'dkim default same-domain selector s key "dkim.pem"')
  assert.deepEqual(warnings, [])
  assert.equal(configuration.pkis.get('here')?.cert, join(folder, 'cert.pem'))
  assert.deepEqual(configuration.tables.get('users')?.source, { kind: 'file', path: join(folder, 'tables/users') })
  assert.equal(configuration.pipeline.dkim[0]?.keyFile, join(folder, 'dkim.pem'))
})

test('a configuration cannot be changed', async () => {
  const { configuration } = await load(smtpd)
  assert.throws(() => Object.assign(configuration, { hostname: 'x' }), TypeError)
  assert.throws(() => Object.assign(configuration.listeners[0] ?? {}, { port: 1 }), TypeError)
  assert.throws(() => (configuration.tables as Map<string, unknown>).set('x', 1), TypeError)
})

test('the revision names the content of both files, and not that of tables', async () => {
  const one = await load(smtpd)
  writeFileSync(join(folder, 'tables/users'), 'joe $2b$10$secret\njim $2b$10$secret\n')
  const same = await load(smtpd)
  const other = await load(`${smtpd}\n# more`)
  assert.match(one.configuration.revision, /^[0-9a-f]{12}$/)
  assert.equal(same.configuration.revision, one.configuration.revision)
  assert.notEqual(other.configuration.revision, one.configuration.revision)
})

test('srs needs a key, wherever it stands, and the key is never printed', async () => {
  const rules = 'action "out" relay srs\nmatch for any action "out"\n'
  const { configuration } = await load(`${rules}srs ttl 36h\nsrs key backup "back secret"\nsrs key "my secret"\n`)
  assert.deepEqual(configuration.srs, { key: 'my secret', backupKey: 'back secret', ttlDays: 1 })
  assert.ok(!JSON.stringify(toJson(configuration)).includes('secret'))
  await assert.rejects(load(`${rules}srs key backup "back secret"\n`), /srs needs a key/)
})

test('printed as JSON the configuration is complete, but holds no secret', async () => {
  const { configuration } = await load(smtpd)
  const text = JSON.stringify(toJson(configuration))
  assert.ok(text.includes('"scan":{"kind":"relay"'))
  assert.ok(text.includes('"filter":{"name":"filter"'))
  assert.ok(!text.includes('secret'))
})

test('faults of both files and missing files are told together', async () => {
  const error = await refused(
    `${smtpd}\npki gone cert "none.pem" key "key.pem"\nmatch for domain <none> reject\n`,
    'log level loud',
  )
  assert.deepEqual(
    error.diagnostics.map((one) => [one.code, one.span.line]),
    [
      ['unknown-name', 10],
      ['unknown-keyword', 1],
      ['missing-file', 9],
    ],
  )
  assert.ok(error.message.includes('smtpd.conf:10:18: error: there is no table "none"'))
})

test('a file that is not there at all is told as such', async () => {
  await assert.rejects(loadConfiguration({ smtpdConf: join(folder, 'none.conf') }), ConfigurationError)
})

test('a queue that nobody declared and an unknown relay pki are refused, auth without users is warned about', async () => {
  const error = await refused(
    [
      'pki here cert "cert.pem" key "key.pem"',
      'listen on lo tls pki here auth',
      'action "a" relay host "queue://filtre"',
      'action "b" relay pki nowhere',
      'match for any action "a"',
    ].join('\n'),
  )
  assert.deepEqual(
    error.diagnostics.map((one) => [one.code, one.span.line]),
    [
      ['unknown-name', 3],
      ['unknown-name', 4],
      ['incomplete', 2],
    ],
  )
  assert.deepEqual(
    error.diagnostics.map((one) => one.severity),
    ['error', 'error', 'warning'],
  )
  assert.equal(error.diagnostics[0]?.hint, 'did you mean "filter"?')
})

test('mail that would go round in a queue for ever is warned about at its rule', async () => {
  const conf = (rules: readonly string[]): string =>
    [
      'action "scan" relay host "queue://filter"',
      'action "sign" relay host "queue://sign"',
      'action "out" relay',
      ...rules,
    ].join('\n')
  const loops = async (...rules: readonly string[]): Promise<readonly (readonly [string, number])[]> =>
    (await load(conf(rules))).warnings.map((one) => [one.code, one.span.line])
  assert.deepEqual(await loops('match from any for any action "scan"'), [['loop', 4]])
  assert.deepEqual(await loops('match tag Filtered for any action "out"', 'match from any for any action "scan"'), [])
  assert.deepEqual(
    await loops(
      'match tag Filtered for any action "sign"',
      'match tag Signed for any action "scan"',
      'match for any action "scan"',
    ),
    [['loop', 4]],
  )
})

test('an expression that cannot be read is told, in a file too', async () => {
  writeFileSync(join(folder, 'tables/patterns'), '^mx\\.\n[open\n')
  const conf = 'table p "tables/patterns"\naction "out" relay\nmatch from rdns regex <p> for any action "out"\n'
  const { warnings } = await load(conf.replace('"tables', '"./tables'))
  assert.deepEqual(
    warnings.map((one) => [one.code, one.span.line]),
    [['value', 3]],
  )
})

test('the grammar is chosen by the file, its includes asked', async () => {
  writeFileSync(join(folder, 'rules.conf'), 'accept for any relay\n')
  const { configuration } = await load('listen on lo\ninclude "rules.conf"\n')
  assert.deepEqual([...configuration.actions.keys()], ['relay'])
})

test('a file that includes itself is told, by whatever way, and is read once', async () => {
  writeFileSync(join(folder, 'more.conf'), 'include "smtpd.conf"\ninclude "smtpd.conf"\n')
  const { diagnostics } = await refused(
    'include "more.conf"\ninclude "more.conf"\naction a relay\nmatch for any action a\n',
  )
  assert.deepEqual(
    diagnostics.map(({ code, span }) => [code, span.file.replace(`${folder}/`, ''), span.line]),
    [1, 2, 1, 2].map((line) => ['include', 'more.conf', line]),
  )
  assert.match(diagnostics[0]?.hint ?? '', /smtpd\.conf -> .*more\.conf -> .*smtpd\.conf$/)
})

test('files that include each other thousands of times are given up', async () => {
  for (let level = 0; level < 15; level += 1) {
    const next = `include "level${level + 1}.conf"\n`
    writeFileSync(join(folder, `level${level}.conf`), next.repeat(10))
  }
  writeFileSync(join(folder, 'level15.conf'), '')
  const { diagnostics } = await refused('include "level0.conf"\naction a relay\nmatch for any action a\n')
  assert.deepEqual(
    diagnostics.map((one) => one.message),
    ['more than 10000 files are included'],
  )
})

test('one file has one grammar: its first rule decides', async () => {
  const told = async (text: string) => (await refused(text)).diagnostics.map((one) => [one.code, one.span.line])
  assert.deepEqual(await told('accept for any relay\nmatch for any reject\n'), [['old-grammar', 2]])
  assert.deepEqual(await told('match for any reject\naccept for any relay\n'), [['old-grammar', 2]])
})

test('taking mail for any user name must be meant', async () => {
  const conf = 'action "box" maildir "/m/%{user.username}"\nmatch for local action "box"\n'
  assert.deepEqual(
    (await load(conf)).warnings.map((one) => one.code),
    ['incomplete'],
  )
  assert.deepEqual((await load(conf, 'users from any')).warnings, [])
})

test('with a queue in place of a content filter its return listener is not opened, and gives the queue its tag', async () => {
  const { configuration } = await load(
    [
      'listen on eth0',
      'listen on lo port 10025 tag Clean',
      'listen on lo port 10027 tag Other',
      'action "filter" relay host "smtp://localhost:10024"',
      'match for any action "filter"',
    ].join('\n'),
  )
  assert.deepEqual(
    configuration.listeners.map((listener) => listener.port),
    [25, 10_027],
  )
  assert.equal(configuration.pipeline.queues.get('filter')?.tag, 'Clean')
  assert.equal(configuration.pipeline.queues.get('sign')?.tag, 'Signed')
})
