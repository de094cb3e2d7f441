import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ConfigurationError } from './load.ts'
import { keepUntilNextStart } from './next-start.ts'
import { configurationLoader, pipelineLoader } from './testing.ts'

const load = pipelineLoader()
const loadAll = configurationLoader()
const dayMs = 86_400_000

test('events are kept for 30 days, unless it is said otherwise', async () => {
  assert.deepEqual((await load('')).events, { keepMs: 30 * dayMs, store: { kind: 'sqlite' } })
  assert.deepEqual((await load('events keep 7d')).events, { keepMs: 7 * dayMs, store: { kind: 'sqlite' } })
  assert.deepEqual((await load('events keep 90d 2G')).events, {
    keepMs: 90 * dayMs,
    maxBytes: 2 * 1024 ** 3,
    store: { kind: 'sqlite' },
  })
})

test('what clients say is written down where that is asked for', async () => {
  const store = { kind: 'sqlite' }
  const settings = { keepMs: 7 * dayMs, subjects: true, smtpTalk: true, store }
  assert.deepEqual((await load('events keep 7d subjects smtp-talk store sqlite')).events, settings)
  assert.equal((await load('events smtp-talk')).events.smtpTalk, true)
})

test('subjects are written down where that is asked for', async () => {
  const store = { kind: 'sqlite' }
  assert.deepEqual((await load('events subjects')).events, { keepMs: 30 * dayMs, subjects: true, store })
  assert.deepEqual((await load('events keep 7d subjects store sqlite')).events, {
    keepMs: 7 * dayMs,
    subjects: true,
    store,
  })
})

test('events lie in SQLite or in a PostgreSQL, whose password stands in a file', async () => {
  const store = async (line: string): Promise<unknown> => (await load(line)).events.store
  assert.deepEqual(await store('events store sqlite'), { kind: 'sqlite' })
  assert.deepEqual(await store('events store postgresql "postgres://sluice@db.example.net/mail"'), {
    kind: 'postgresql',
    place: { kind: 'tcp', host: 'db.example.net', port: 5432 },
    user: 'sluice',
    database: 'mail',
  })
  assert.deepEqual(await store('events keep 7d store postgresql "postgresql://a%40b@%2Frun%2Fpostgresql/m"'), {
    kind: 'postgresql',
    place: { kind: 'unix', path: '/run/postgresql' },
    user: 'a@b',
    database: 'm',
  })
  const file = import.meta.filename
  const whole = `events keep 90d 20G store postgresql "postgres://a@[::1]:6432/m" password file "${file}" tls ca "${file}"`
  assert.deepEqual((await load(whole)).events, {
    keepMs: 90 * dayMs,
    maxBytes: 20 * 1024 ** 3,
    store: {
      kind: 'postgresql',
      place: { kind: 'tcp', host: '::1', port: 6432 },
      user: 'a',
      database: 'm',
      passwordFile: file,
      tls: { caFile: file },
    },
  })
  assert.deepEqual(((await store('events store postgresql "postgres://a@h/m" tls')) as { tls?: object }).tls, {})
})

test('how long events are kept changes while it runs; their database at the next start', async () => {
  const running = (await loadAll('events keep 30d')).configuration
  const longer = keepUntilNextStart(await loadAll('events keep 60d'), running)
  assert.deepEqual([longer.warnings, longer.configuration.pipeline.events.keepMs], [[], 60 * dayMs])
  const elsewhere = await loadAll('events keep 60d store postgresql "postgres://a@h/m"')
  const { configuration, warnings } = keepUntilNextStart(elsewhere, running)
  assert.deepEqual(configuration.pipeline.events, { keepMs: 60 * dayMs, store: { kind: 'sqlite' } })
  assert.deepEqual(
    warnings.map(({ code, message }) => [code, message]),
    [['next-start', '"events ... store" takes effect at the next start: until then the one before stays in force']],
  )
})

test('what events cannot mean is refused, with what to write instead', async () => {
  const rows: readonly (readonly [readonly string[], RegExp])[] = [
    [['events'], /keep/],
    [['events 30d'], /keep/],
    [['events store'], /sqlite/],
    [['events store mysql'], /sqlite[^]*postgresql/],
    [['events store sqlite keep 30d'], /end of the statement|line/],
    [['events store postgresql "mysql://a@h/m"'], /not a URL of PostgreSQL[^]*postgres:\/\/sluice@/],
    [['events store postgresql "postgres://a:secret@h/m"'], /must not stand in this file[^]*password file/],
    [['events store postgresql "postgres://h/m"'], /names no user/],
    [['events store postgresql "postgres://a@h"'], /names no database/],
    [['events store postgresql "postgres:///m"'], /names no user/],
    [['events store postgresql "postgres://a@h/m?sslmode=require"'], /sslmode=require" is not understood[^]*tls/],
    [['events store postgresql "postgres://a@h/m" ca "/x"'], /password[^]*tls/],
    [['events store postgresql "postgres://a@%2Frun/m" tls'], /unix socket has no TLS/],
    [['events store postgresql "postgres://a@%2Frun:5433/m"'], /port of a socket is 5432/],
    [['events store postgresql "postgres://a@h/m" password "/x"'], /file/],
    [['events keep 1h'], /a day at least[^]*30d/],
    [['events keep 30d 10M'], /less than 256M[^]*2G/],
    [['events keep 30d much'], /not a size/],
    [['events keep 1d', 'events keep 2d'], /"events" is stated already/],
  ]
  for (const [lines, message] of rows)
    await assert.rejects(
      load(...lines),
      (error) => error instanceof ConfigurationError && message.test(error.message),
      lines.join(),
    )
})

test('contents are kept for replays when it is said so, for a time and up to a size', async () => {
  assert.deepEqual((await load('')).replay, {})
  assert.deepEqual((await load('replay keep 7d')).replay, { keepMs: 7 * dayMs })
  assert.deepEqual((await load('replay keep 7d 20G')).replay, { keepMs: 7 * dayMs, maxBytes: 20 * 1024 ** 3 })
  const rows: readonly (readonly [readonly string[], RegExp])[] = [
    [['replay'], /keep/],
    [['replay 7d'], /keep/],
    [['replay keep 10s'], /a minute in any case[^]*7d/],
    [['replay keep 7d 10M'], /less than 256M[^]*20G/],
    [['replay keep 7d much'], /not a size/],
    [['replay keep 1d', 'replay keep 2d'], /"replay" is stated already/],
  ]
  for (const [lines, message] of rows)
    await assert.rejects(
      load(...lines),
      (error) => error instanceof ConfigurationError && message.test(error.message),
      lines.join(),
    )
})
