import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

import { silentLog } from '../log.ts'
import { openQueues } from './queues.ts'
import type { Queues } from './queues.ts'
import { spreadMs } from './spread.ts'
import { redisMissing, signalOf, startTestRedis, testJob } from './testing.ts'
import type { TestRedis } from './testing.ts'

const skip = await redisMissing()
let redis: TestRedis
let queues: Queues

before(async () => {
  if (skip) return
  redis = await startTestRedis()
  queues = openQueues({ endpoint: redis.endpoint, prefix: 'sluice', names: ['relay'], log: silentLog() })
})
beforeEach(async () => {
  if (skip) return
  await redis.empty()
})
after(async () => {
  if (skip) return
  await queues.close()
  await redis.close()
})

test('a destination gets no more connections at a time than its limit, others are not touched', { skip }, async () => {
  const { lanes } = queues
  const granted = await Promise.all(
    Array.from({ length: 10 }, (_, holder) => lanes.acquire('example.net', 3, `holder${holder}`, 60_000)),
  )
  assert.equal(granted.filter((one) => one.granted).length, 3)
  assert.equal((await lanes.acquire('example.org', 3, 'holder0', 60_000)).granted, true)
  assert.deepEqual(await lanes.state('example.net'), { active: 3, parked: 0 })
})

test('a slot is free again when it is released, or when its holder died', { skip }, async () => {
  const { lanes } = queues
  assert.equal((await lanes.acquire('example.net', 1, 'first', 60_000)).granted, true)
  assert.equal((await lanes.acquire('example.net', 1, 'first', 60_000)).granted, true, 'asking again renews')
  assert.equal((await lanes.acquire('example.net', 1, 'second', 60_000)).granted, false)
  await lanes.release('example.net', 'first')
  assert.equal((await lanes.acquire('example.net', 1, 'second', 20)).granted, true)
  while (!(await lanes.acquire('example.net', 1, 'third', 60_000)).granted) await sleep(5)
  assert.equal(await lanes.renew('example.net', 'second', 60_000), false, 'it was lost')
  assert.equal(await lanes.renew('example.net', 'third', 60_000), true)
})

test('a released slot brings the oldest message that waits for it to the head of the queue', { skip }, async () => {
  const { lanes } = queues
  await lanes.acquire('example.net', 1, 'busy', 60_000)
  const [older, younger, stranger] = [
    testJob('relay', { receivedAt: 1000 }),
    testJob('relay', { receivedAt: 2000 }),
    testJob('relay'),
  ]
  await queues.add([{ ...younger, delayMs: 30_000 }, { ...older, delayMs: 30_000 }, stranger])
  for (const { queue, jobId, data } of [younger, older]) {
    await lanes.park({ destination: 'example.net', limit: 1, queue, jobId, order: data.receivedAt })
  }
  assert.deepEqual(await lanes.state('example.net'), { active: 1, parked: 2 })
  assert.equal(await lanes.parked(['example.net', 'nobody.example']), 2)
  await lanes.release('example.net', 'busy')
  const waiting = await queues.list('relay', ['waiting'], 0, 9)
  assert.deepEqual(
    waiting.map(({ jobId }) => jobId),
    [older.jobId, stranger.jobId],
  )
  assert.equal((await lanes.state('example.net')).parked, 1)
})

test('the more messages wait for a slot, the more seldom each looks by itself', { skip }, async () => {
  const { lanes } = queues
  assert.deepEqual(await lanes.acquire('example.net', 1, 'busy', 60_000), { granted: true, parked: 0 })
  for (let order = 0; order < 3; order++) {
    await lanes.park({ destination: 'example.net', limit: 1, queue: 'relay', jobId: `job${order}`, order })
  }
  assert.deepEqual(await lanes.acquire('example.net', 1, 'next', 60_000), { granted: false, parked: 3 })
  assert.equal(spreadMs(0), 0)
  const waits = Array.from({ length: 1_000 }, () => spreadMs(100_000))
  const early = waits.filter((waitMs) => waitMs < 1_000_000).length
  assert.ok(early < 200, `${early} of 1000 within the first tenth of the time`)
  assert.ok(Math.max(...waits) <= 3 * 3_600_000)
})

test('a job whose slot became free while it was put aside runs at once', { skip }, async () => {
  const job = testJob('relay')
  await queues.add([{ ...job, delayMs: 30_000 }])
  await queues.lanes.park({ destination: 'example.net', limit: 1, queue: 'relay', jobId: job.jobId, order: 1 })
  assert.equal((await queues.job('relay', job.jobId))?.state, 'waiting')
})

test('a parked job that is gone does not keep the next one from its turn', { skip }, async () => {
  const { lanes } = queues
  await lanes.acquire('example.net', 1, 'busy', 60_000)
  const [gone, next] = [testJob('relay'), testJob('relay')]
  await queues.add([{ ...next, delayMs: 30_000 }])
  await lanes.park({ destination: 'example.net', limit: 1, queue: 'relay', jobId: gone.jobId, order: 1 })
  await lanes.park({ destination: 'example.net', limit: 1, queue: 'relay', jobId: next.jobId, order: 2 })
  await lanes.release('example.net', 'busy')
  assert.equal((await queues.job('relay', next.jobId))?.state, 'waiting')
})

test('a slow destination takes its turn slot by slot while the others overtake it', { skip }, async () => {
  const slowJobs = Array.from({ length: 30 }, () => testJob('relay', { destination: 'slow.example.net' }))
  const fastJobs = Array.from({ length: 30 }, () => testJob('relay', { destination: 'fast.example.net' }))
  await queues.add([...slowJobs, ...fastJobs])
  const finished: string[] = []
  const [fast, all] = [signalOf(), signalOf()]
  let slowNow = 0
  let slowMost = 0
  const worker = queues.work('relay', {
    concurrency: 10,
    async handler(data, { jobId }) {
      const destination = data.destination ?? ''
      const { granted } = await queues.lanes.acquire(destination, 2, jobId, 60_000)
      if (!granted) return { kind: 'later', data, delayMs: 30_000, reason: 'busy', lane: { destination, limit: 2 } }
      if (destination.startsWith('slow')) {
        slowMost = Math.max(slowMost, ++slowNow)
        await fast.promise
        await sleep(5)
        slowNow--
      }
      await queues.lanes.release(destination, jobId)
      finished.push(destination)
      if (finished.filter((one) => one.startsWith('fast')).length === 30) fast.resolve()
      if (finished.length === 60) all.resolve()
      return { kind: 'done' }
    },
  })
  await all.promise
  await worker.close()
  assert.equal(slowMost, 2)
  // Each of the slow ones ends only when the last of the others has.
  assert.ok(finished.slice(0, 30).every((destination) => destination.startsWith('fast')))
})
