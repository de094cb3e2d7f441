import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { loadConfiguration } from '../config/load.ts'
import type { Configuration } from '../config/model.ts'
import { silentLog } from '../log.ts'
import { expireTallies, openFilterTally } from './tally.ts'
import { quantile, viewFilters } from './view.ts'

const hourMs = 3_600_000
const noonAt = Date.UTC(2026, 10, 21, 12, 30)

async function place(t: TestContext) {
  const dataFolder = await mkdtemp(join(tmpdir(), 'filter-tally-'))
  t.after(() => rm(dataFolder, { recursive: true }))
  const time = { now: noonAt }
  const open = (writer: string) =>
    openFilterTally({ dataFolder, writer, clock: { now: () => time.now }, log: silentLog() })
  return { dataFolder, time, open, configuration: await configured(dataFolder) }
}

async function configured(folder: string): Promise<Configuration> {
  const [smtpdConf, pipelineConf] = [join(folder, 'smtpd.conf'), join(folder, 'pipeline.conf')]
  await writeFile(
    smtpdConf,
    'filter "dnsbl" proc-exec "/bin/cat"\nlisten on 127.0.0.1 port 2525 filter "dnsbl"\naction "out" relay\nmatch from local for any action "out"\n',
  )
  await writeFile(
    pipelineConf,
    'users from any\nvirus clamd 127.0.0.1:3310\nspam list client "zen.example.org"\nrestrict connect reject dnsbl "bad.example.org"\nquota status "/run/quota"\n',
  )
  return (await loadConfiguration({ smtpdConf, pipelineConf, hostname: 'mx.example.org' })).configuration
}

test('what all processes counted is one sum: how fast, how often without an answer, and which came last', async (t) => {
  const { dataFolder, time, open, configuration } = await place(t)
  const [one, other] = [open('filter'), open('filter-2')]
  for (let count = 0; count < 98; count += 1) one.answered('clamd', { status: 'ok', tookMs: 4 })
  one.answered('clamd', { status: 'timeout', tookMs: 5_100, reason: 'no result within 5 s' })
  one.judged('clean', ['spf=pass', 'dkim=none'])
  one.judged('junk', ['spf=fail', 'dkim=none'])
  time.now += 1_000
  other.answered('clamd', { status: 'ok', tookMs: 7 })
  other.judged('clean', ['spf=pass'])
  await Promise.all([one.close(), other.close()])

  const view = await viewFilters(dataFolder, configuration, 1, time.now)
  const clamd = view.engines.find(({ name }) => name === 'clamd')
  assert.deepEqual(
    [clamd?.what, clamd?.health, clamd?.answers, clamd?.failures],
    ['virus scanner at 127.0.0.1:3310', 'good', 100, { timeout: 1 }],
  )
  assert.deepEqual(clamd?.last, {
    okAt: noonAt + 1_000,
    tookMs: 7,
    failedAt: noonAt,
    status: 'timeout',
    reason: 'no result within 5 s',
  })
  const { p50 = 0, p95 = 0, p99 = 0 } = clamd?.percentiles ?? {}
  assert.ok(p50 > 2.5 && p50 <= 5 && p95 <= 5 && p99 <= 10, JSON.stringify(clamd?.percentiles))
  assert.equal(view.mix.length, 24)
  assert.deepEqual(view.mix.at(-1), { at: Date.UTC(2026, 10, 21, 12), verdicts: { clean: 2, junk: 1 } })
  assert.deepEqual(view.findings, [
    { method: 'spf', results: { pass: 2, fail: 1 } },
    { method: 'dkim', results: { none: 2 } },
  ])
})

test('what the configuration names and nobody asked is there, and silent; what it does not name is told as long as it answers', async (t) => {
  const { dataFolder, time, open, configuration } = await place(t)
  const tally = open('filter')
  tally.answered('rspamd', { status: 'failed', tookMs: 1, reason: 'connect ECONNREFUSED' })
  await tally.close()
  const { engines } = await viewFilters(dataFolder, configuration, 1, time.now)
  const told = engines.map(({ name, health, what }) => [name, health, what !== undefined])
  assert.deepEqual(told, [
    ['authentication', 'silent', true],
    ['gtube', 'silent', true],
    ['classifier', 'silent', true],
    ['lists', 'silent', true],
    ['list zen.example.org', 'silent', true],
    ['list bad.example.org', 'silent', true],
    ['clamd', 'silent', true],
    ['filter dnsbl', 'silent', true],
    ['quota status', 'silent', true],
    ['rspamd', 'failing', false],
  ])
  time.now += 2 * 24 * hourMs
  const later = await viewFilters(dataFolder, configuration, 1, time.now)
  assert.ok(!later.engines.some(({ name }) => name === 'rspamd'))
})

test('hours and days stay apart, and old days go', async (t) => {
  const { dataFolder, time, open, configuration } = await place(t)
  const tally = open('filter')
  tally.judged('clean', [])
  time.now += hourMs
  tally.judged('junk', [])
  time.now += 24 * hourMs
  tally.judged('reject', [])
  await tally.close()
  const hours = await viewFilters(dataFolder, configuration, 2, time.now)
  assert.deepEqual(
    hours.mix.filter(({ verdicts }) => Object.keys(verdicts).length > 0).map(({ at }) => at),
    [noonAt, noonAt + hourMs, noonAt + 25 * hourMs].map((at) => at - 30 * 60_000),
  )
  const days = await viewFilters(dataFolder, configuration, 14, time.now)
  assert.deepEqual(
    days.mix.slice(-2).map(({ verdicts }) => verdicts),
    [{ clean: 1, junk: 1 }, { reject: 1 }],
  )
  assert.equal(days.mix.length, 14)
  await expireTallies(dataFolder, time.now)
  assert.deepEqual(await readdir(join(dataFolder, 'filter-tally')), ['2026-11-22'])
})

test('a quantile lies within its class of time; beyond the last class its lower end is told', () => {
  assert.equal(quantile([10, 0], 0.5), 0.5)
  assert.equal(quantile([], 0.5), 0)
  assert.equal(quantile([...Array.from({ length: 15 }, () => 0), 3], 0.99), 60_000)
})

test('a file that another version wrote, or that is half, is left out', async (t) => {
  const { dataFolder, time, open, configuration } = await place(t)
  const tally = open('filter')
  tally.judged('clean', [])
  await tally.close()
  for (const text of ['', '{', '[]', '{"hours":1}'])
    await writeFile(join(dataFolder, 'filter-tally', '2026-11-21', `bad${text.length}.json`), text)
  const { mix } = await viewFilters(dataFolder, configuration, 1, time.now)
  assert.deepEqual(mix.at(-1)?.verdicts, { clean: 1 })
})
