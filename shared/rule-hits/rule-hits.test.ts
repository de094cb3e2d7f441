import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import type { Configuration } from '../config/model.ts'
import { silentLog } from '../log.ts'
import { expireRuleHits, openRuleHits, readRuleHits } from './rule-hits.ts'
import type { RuleHits } from './rule-hits.ts'
import { viewRuleHits } from './view.ts'

const dayMs = 86_400_000
const [scan, deliver, refuse] = ['match from any action "a"', 'match tag Filtered action "b"', 'match from any reject']

async function bench(t: TestContext) {
  const dataFolder = await mkdtemp(join(tmpdir(), 'sluice-hits-'))
  t.after(() => rm(dataFolder, { recursive: true }))
  const time = { now: Date.parse('2026-11-21T23:59:00Z') }
  const clock = { now: () => time.now }
  const open = (writer: string): RuleHits => openRuleHits({ dataFolder, writer, clock, log: silentLog() })
  const read = (...texts: string[]) => readRuleHits(dataFolder, texts, time.now)
  return { dataFolder, time, open, read }
}

function configuration(...lines: readonly (readonly [number, string])[]): Pick<Configuration, 'rules' | 'pipeline'> {
  const rules = lines.map(([line, text]) => ({ text, at: { file: '/etc/smtpd.conf', line, column: 1 } }))
  const at = { file: '/etc/pipeline.conf', line: 4, column: 1 }
  const restrictions = [
    { text: 'restrict connect sleep 1s', rule: { kind: 'sleep', ms: 1_000 }, at },
    { text: 'restrict rcpt reject pipelining', rule: { kind: 'pipelining' }, at },
  ]
  return { rules, pipeline: { restrictions } } as unknown as Pick<Configuration, 'rules' | 'pipeline'>
}

test('the hits of all processes count, of today and of seven days, and who was never hit says since when', async (t) => {
  const { open, read, time } = await bench(t)
  const [ledger, one, other] = [open('ledger'), open('inbound'), open('inbound')]
  ledger.follow(configuration([3, scan], [4, refuse]))
  one.count(scan, 3)
  await one.close()
  time.now += 2 * dayMs
  const lastAt = time.now
  other.count(scan)
  other.count('gone')
  await Promise.all([ledger.close(), other.close()])
  time.now += 1_000
  assert.deepEqual(await read(scan, deliver, refuse), [
    { today: 1, week: 4, lastAt, since: '2026-11-21' },
    { today: 0, week: 0 },
    { today: 0, week: 0, since: '2026-11-21' },
  ])
  time.now = Date.parse('2026-11-28T00:00:00Z')
  assert.deepEqual((await read(scan))[0], { today: 0, week: 1, lastAt, since: '2026-11-21' })
})

test('a reload that moves a line keeps its number; a restart adds to it', async (t) => {
  const { dataFolder, open, time } = await bench(t)
  const first = open('ledger')
  first.follow(configuration([3, scan], [4, refuse]))
  first.count(refuse)
  first.follow(configuration([3, deliver], [9, scan], [12, refuse]))
  first.count(refuse, 2)
  await first.close()
  time.now += 1
  const second = open('ledger')
  const moved = configuration([3, deliver], [9, scan], [12, 'match  from any\treject'])
  second.follow(moved)
  second.count('match from any reject')
  await second.close()
  const seen = await viewRuleHits(dataFolder, moved, time.now)
  assert.deepEqual(
    seen.map(({ at, hits }) => [at, hits?.today]),
    [
      ['smtpd.conf:3', 0],
      ['smtpd.conf:9', 0],
      ['smtpd.conf:12', 4],
      ['pipeline.conf:4', undefined],
      ['pipeline.conf:4', 0],
    ],
  )
})

test('old days are removed, and a process without hits writes nothing', async (t) => {
  const { dataFolder, open, read, time } = await bench(t)
  const hits = open('inbound')
  hits.count(scan)
  await hits.close()
  await open('other').close()
  await expireRuleHits(dataFolder, time.now)
  assert.equal((await read(scan))[0]?.week, 1)
  await expireRuleHits(dataFolder, time.now + dayMs)
  assert.deepEqual(await read(scan), [{ today: 0, week: 0 }])
})
