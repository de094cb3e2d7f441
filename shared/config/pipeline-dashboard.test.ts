import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { shaCrypt } from '../crypt/sha-crypt.ts'
import { isSecretOf, makeToken, parseApiToken, splitToken } from './api-tokens.ts'
import { ConfigurationError } from './diagnostic.ts'
import { loadConfiguration } from './load.ts'
import { keepUntilNextStart } from './next-start.ts'
import { isAtLeast, parseOperator } from './operators.ts'
import { toJson } from './to-json.ts'

const hash = shaCrypt('engine', '$6$rounds=1000$abcdefgh')

const digest = '0'.repeat(64)

async function loaderIn(t: TestContext, files: Readonly<Record<string, string>> = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-conf-'))
  t.after(() => rm(folder, { recursive: true }))
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
  const [smtpdConf, pipelineConf] = [join(folder, 'smtpd.conf'), join(folder, 'pipeline.conf')]
  await writeFile(smtpdConf, 'listen on 127.0.0.1 port 25\naction "out" relay\nmatch from local for any action "out"\n')
  return async (pipeline: string) => {
    await writeFile(pipelineConf, pipeline.replaceAll('FOLDER', folder))
    return loadConfiguration({ smtpdConf, pipelineConf, hostname: 'mx.example.org' })
  }
}

test('a value of the table is a hash, or a role and a hash', () => {
  assert.deepEqual(parseOperator(hash), { role: 'operator', hash })
  for (const role of ['reader', 'operator', 'admin'] as const)
    assert.deepEqual(parseOperator(`${role}:${hash}`), { role, hash })
  for (const value of ['', 'engine', 'admin:', 'admin:engine', `root:${hash}`, `:${hash}`, `admin:reader:${hash}`])
    assert.equal(parseOperator(value), undefined, value)
  assert.deepEqual(
    [isAtLeast('admin', 'operator'), isAtLeast('operator', 'operator'), isAtLeast('reader', 'operator')],
    [true, true, false],
  )
})

test('a token is its name and a secret, of which the table has the scopes and the digest', () => {
  const { token, entry } = makeToken('backup', ['read', 'queues', 'read'])
  const [split, parsed] = [splitToken(token), parseApiToken(entry)]
  assert.ok(split && parsed)
  assert.deepEqual([split.name, [...parsed.scopes]], ['backup', ['read', 'queues']])
  assert.equal(isSecretOf(parsed, split.secret), true)
  assert.equal(isSecretOf(parsed, splitToken(makeToken('backup', ['read']).token)?.secret ?? ''), false)
  for (const value of ['', 'read', digest, `:${digest}`, `write:${digest}`, `read,:${digest}`, `read:${digest}0`])
    assert.equal(parseApiToken(value), undefined, value)
  for (const name of ['', 'a b', 'Ä', 'a.b', 'a'.repeat(65)])
    assert.throws(() => makeToken(name, ['read']), RangeError, name)
})

test('operators come from a file, from pipeline.conf itself, or from a passwd file', async (t) => {
  const load = await loaderIn(t, {
    operators: `ada\tadmin:${hash}\nolga: ${hash}\n`,
    passwd: `olga:${hash}:1:1::/:\n`,
  })
  for (const pipeline of [
    'table operators "file:FOLDER/operators"\ndashboard listen "0.0.0.0:8080" auth <operators>\n',
    'table operators passwd:FOLDER/passwd\ndashboard listen "0.0.0.0:8080" auth <operators>\n',
    `dashboard listen "0.0.0.0:8080" auth { ada = "admin:${hash}" }\n`,
  ]) {
    const { configuration, warnings } = await load(pipeline)
    const { host, operators, readOnly } = configuration.pipeline.dashboard
    assert.deepEqual([host, operators === undefined, readOnly, warnings], ['0.0.0.0', false, false, []], pipeline)
  }
})

test('a mistake in who may see the dashboard is told with its place and advice', async (t) => {
  const load = await loaderIn(t, { operators: `olga ${hash}\nada engine\n`, list: 'olga\n' })
  const cases: readonly (readonly [string, string, string])[] = [
    ['dashboard listen "0.0.0.0:8080"', 'incomplete@1:18', 'name who may sign in'],
    ['dashboard listen "192.0.2.1:8080" read-only', 'incomplete@1:18', 'name who may sign in'],
    ['dashboard listen "[::]:8080"', 'incomplete@1:18', 'name who may sign in'],
    ['dashboard listen "127.0.0.1:8080" auth', 'syntax@1:39', ''],
    ['dashboard listen "127.0.0.1:8080" auth <nobody>', 'unknown-name@1:40', ''],
    ['dashboard listen "127.0.0.1:8080" auth { ada = "engine" }', 'value@1:40', 'the hash that `sluicectl encrypt`'],
    [`dashboard listen "127.0.0.1:8080" auth { ada = "root:${hash}" }`, 'value@1:40', 'the hash that'],
    [`dashboard listen "127.0.0.1:8080" auth { ada }`, 'table-type@1:40', ''],
    ['dashboard listen "127.0.0.1:8080" tokens { ci = "x" }', 'value@1:42', 'the line that `sluicectl token'],
    ['dashboard listen "192.0.2.1:8080" tokens { ci = "read:' + digest + '" }', 'incomplete@1:18', ''],
    ['dashboard listen "127.0.0.1:8080" readonly', 'unknown-keyword@1:35', 'did you mean "read-only"?'],
    ['dashboard listen "127.0.0.1:8080" read-only read-only', 'unknown-keyword@1:45', ''],
    ['table o "file:FOLDER/operators"\ndashboard listen "127.0.0.1:80" auth <o>', 'value@2:38', 'the hash'],
    ['table o "file:FOLDER/list"\ndashboard listen "127.0.0.1:80" auth <o>', 'table-type@2:38', ''],
  ]
  for (const [pipeline, place, hint] of cases) {
    const error: unknown = await load(pipeline).then(
      () => assert.fail(`${pipeline} was taken`),
      (one: unknown) => one,
    )
    assert.ok(error instanceof ConfigurationError)
    const [one] = error.diagnostics
    assert.equal(`${one?.code}@${one?.span.line}:${one?.span.column}`, place, pipeline)
    assert.ok((one?.hint ?? '').startsWith(hint), `${pipeline}: ${one?.hint}`)
  }
})

test('operators change while it runs; where it listens and whether it asks at all stay until the next start', async (t) => {
  const load = await loaderIn(t)
  const withOperator = (name: string, more = '') =>
    load(`\n${more}\ndashboard listen "0.0.0.0:8080" auth { ${name} = "${hash}" } ${more === '' ? '' : 'read-only'}\n`)
  const running = (await withOperator('ada')).configuration
  const changed = keepUntilNextStart(await withOperator('olga', 'log level debug'), running)
  assert.deepEqual(changed.warnings, [])
  const { operators, readOnly } = changed.configuration.pipeline.dashboard
  assert.deepEqual([operators?.source, readOnly], [{ kind: 'inline', map: new Map([['olga', hash]]) }, true])
  for (const next of [
    'dashboard listen "127.0.0.1:8080"\n',
    `dashboard listen "0.0.0.0:81" auth { a = "${hash}" }\n`,
  ]) {
    const kept = keepUntilNextStart(await load(next), running)
    assert.deepEqual(
      kept.warnings.map((one) => one.code),
      ['next-start'],
    )
    assert.equal(kept.configuration.pipeline.dashboard, running.pipeline.dashboard)
  }
})

test('the hashes of operators are not printed', async (t) => {
  const load = await loaderIn(t)
  const { configuration } = await load(`dashboard listen "0.0.0.0:8080" auth { ada = "${hash}" }\n`)
  assert.doesNotMatch(JSON.stringify(toJson(configuration)), /\$6\$/)
})
