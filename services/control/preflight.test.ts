import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import { startHeartbeats } from '../../shared/heartbeat.ts'
import { redisMissing, testJob } from '../../shared/queue/testing.ts'
import type { StageJob } from '../../shared/queue/job.ts'
import { openBench } from './testing.ts'

const skip = await redisMissing()

interface Answer {
  readonly ready: boolean
  readonly findings: readonly { readonly about: string; readonly verdict: string; readonly text: string }[]
}

test('a version that can read everything is ready, and nothing was changed', { skip }, async (t) => {
  const bench = await openBench(t)
  const id = await bench.accept()
  const before = await bench.context.queues.jobsOf(id)
  const { code, out } = await bench.ctl('preflight')
  assert.equal(code, 0, out)
  assert.match(out, /^look configuration +revision \S+, 1 warning: see 'check'$/m)
  assert.match(out, /^good spool +1 message not settled, all readable$/m)
  assert.match(out, /Redis +(?:redis|valkey) \d/)
  assert.match(out, /^good jobs +1 job of schema 1$/m)
  assert.match(out, /^ready to take over$/m)
  assert.deepEqual(await bench.context.queues.jobsOf(id), before)
})

test(
  'what a running service wants known stands in preflight and show status, and makes neither fail',
  { skip },
  async (t) => {
    const bench = await openBench(t)
    const notes = (): readonly string[] => ['clients seem to come from 172.18.0.1']
    const inbound = { service: 'inbound', listens: [], lastJobAt: () => undefined, troubles: async () => [], notes }
    const beats = await startHeartbeats(bench.context.dataFolder, [inbound], Date.now)
    const looked = await bench.ctl('preflight')
    assert.deepEqual([looked.code, /^look clients +clients seem to come from 172/m.test(looked.out)], [0, true])
    const status = await bench.ctl('show', 'status')
    assert.deepEqual([status.code, status.errors], [0, 'clients seem to come from 172.18.0.1\n'])
    await beats.stop()
  },
)

test(
  'jobs of a newer version, a damaged spool and a bad configuration are each told, with exit code 1',
  { skip },
  async (t) => {
    const bench = await openBench(t)
    const spool = bench.context.spool.volume.name
    for (let count = 0; count < 3; count += 1) await bench.accept()
    const newer = testJob('filter')
    await bench.context.queues.add([{ ...newer, data: { ...newer.data, v: 2 } as unknown as StageJob }])
    const [segment = ''] = (await readdir(spool, { recursive: true })).filter((name) => name.endsWith('.msg'))
    const bytes = await readFile(join(spool, segment))
    bytes.fill(0, 200, 300)
    await writeFile(join(spool, segment), bytes)

    const { code, out } = await bench.ctl('preflight', '--json')
    const { ready, findings } = JSON.parse(out) as Answer
    assert.deepEqual([code, ready], [1, false])
    const bad = findings.filter(({ verdict }) => verdict === 'bad')
    assert.deepEqual(
      bad.map(({ about }) => about),
      ['spool', 'jobs'],
    )
    assert.match(bad[0]?.text ?? '', /\.msg at \d+: |checksum|damaged/)
    assert.match(bad[1]?.text ?? '', /^1 of schema 2: a newer version made them/)

    await writeFile(bench.smtpdConf, 'listen on nowhere in particular\n')
    const told = await bench.ctl('preflight')
    assert.equal(told.code, 1)
    assert.match(told.out, /^BAD {2}configuration[^]*smtpd\.conf:1:/m)
    assert.match(told.out, /^NOT ready/m)
  },
)
