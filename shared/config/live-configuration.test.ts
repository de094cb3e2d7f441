import assert from 'node:assert/strict'
import { mkdtemp, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { ConfigurationFiles } from './configuration-files.ts'
import { createLiveConfiguration, onReload } from './live-configuration.ts'

const conf = (domain: string): string =>
  `include "tables.conf"\naction "here" relay\nmatch from any for domain "${domain}" action "here"\n`

async function open(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'live-'))
  t.after(() => rm(folder, { recursive: true }))
  const path = (name: string): string => join(folder, name)
  const write = (name: string, text: string): Promise<void> => writeFile(path(name), text)
  await write('smtpd.conf', conf('one.test'))
  await write('tables.conf', 'table people file:people\n')
  await write('people', 'jane\n')
  await write('pipeline.conf', 'dashboard listen "127.0.0.1:8080"\n')
  const files = new ConfigurationFiles({
    smtpdConf: path('smtpd.conf'),
    pipelineConf: path('pipeline.conf'),
    hostname: 'mx.sluice.test',
  })
  const loaded = await files.load()
  return { path, write, files, live: createLiveConfiguration(loaded, () => files.load()) }
}

test('a good file replaces the configuration as a whole, and what was read before stays as it was', async (t) => {
  const { write, live } = await open(t)
  const before = live.current
  const told: string[] = []
  onReload(live, (next) => told.push(next.revision))
  await write('smtpd.conf', conf('two.test'))
  const result = await live.reload()
  assert.equal(result.kind, 'replaced')
  assert.match(live.current.rules[0]?.text ?? '', /two\.test/)
  assert.match(before.rules[0]?.text ?? '', /one\.test/)
  assert.deepEqual(told, [live.current.revision])
  assert.deepEqual(await live.reload(), { kind: 'unchanged', revision: live.current.revision })
})

test('a bad file changes nothing and says what is wrong, until it is mended', async (t) => {
  const { write, live } = await open(t)
  const before = live.current
  await write('smtpd.conf', `${conf('two.test')}match for any action "nowhere"\n`)
  const result = await live.reload()
  assert.equal(result.kind, 'refused')
  assert.match(live.fault ?? '', /smtpd\.conf:4:\d+: error: there is no action "nowhere"/)
  assert.equal(live.current, before)
  await write('smtpd.conf', conf('one.test'))
  assert.equal((await live.reload()).kind, 'unchanged')
  assert.equal(live.fault, undefined)
})

test('one that cannot go along refuses the reload for all, and what the others opened is closed', async (t) => {
  const { write, live } = await open(t)
  const before = live.current
  const abandoned: string[] = []
  const commit = (): void => assert.fail('nothing was to change')
  live.follow({ prepare: async () => ({ commit, abandon: async () => void abandoned.push('first') }) })
  const unfollow = live.follow({ prepare: () => Promise.reject(new Error('the port is taken')) })
  await write('smtpd.conf', conf('two.test'))
  assert.deepEqual(await live.reload(), { kind: 'refused', revision: before.revision, fault: 'the port is taken' })
  assert.deepEqual([live.current, abandoned], [before, ['first']])
  unfollow()
})

test('what cannot change while we run stays in force and is named with its line', async (t) => {
  const { write, live, path } = await open(t)
  await write(
    'pipeline.conf',
    'log level debug\ndashboard listen "127.0.0.1:9090"\nredis "redis://10.0.0.1"\ntraces sample 1%\n',
  )
  const result = await live.reload()
  assert.ok(result.kind === 'replaced')
  assert.deepEqual(
    result.warnings
      .filter((one) => one.code === 'next-start')
      .map(({ span, message }) => `${span.file}:${span.line}: ${message.replace(/:.*/, '')}`),
    [
      `${path('pipeline.conf')}:3: "redis" takes effect at the next start`,
      `${path('pipeline.conf')}:2: "dashboard" takes effect at the next start`,
      `${path('pipeline.conf')}:4: "traces" takes effect at the next start`,
    ],
  )
  const { pipeline } = live.current
  assert.deepEqual(
    [pipeline.dashboard.port, pipeline.redis, pipeline.traces, pipeline.logLevel],
    [8080, undefined, undefined, 'debug'],
  )
})

test('an edit, a replaced file and a link that leads elsewhere are seen, a table is not ours to watch', async (t) => {
  const { write, files, path } = await open(t)
  assert.equal(await files.difference(), '')
  await write('people', 'jane\njohn\n')
  assert.equal(await files.difference(), '')

  await write('tables.conf', 'table people file:people\n# more\n')
  assert.match(await files.difference(), /tables\.conf/)
  await files.load()
  assert.equal(await files.difference(), '')

  await write('new.conf', conf('one.test'))
  await rename(path('new.conf'), path('smtpd.conf'))
  assert.match(await files.difference(), /smtpd\.conf/)
  await files.load()

  await write('a.conf', 'log level info\n')
  await write('b.conf', 'log level warn\n')
  await unlink(path('pipeline.conf'))
  assert.match(await files.difference(), /pipeline\.conf absent/)
  await symlink(path('a.conf'), path('pipeline.conf'))
  await files.load()
  await unlink(path('pipeline.conf'))
  await symlink(path('b.conf'), path('pipeline.conf'))
  assert.match(await files.difference(), /pipeline\.conf/)
})
