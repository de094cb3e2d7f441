import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

import { silentLog } from '../log.ts'
import { openBackOff } from './back-off.ts'
import type { BackOff } from './back-off.ts'
import { connectProducer, disconnect } from './connection.ts'
import { Producer } from './producer.ts'
import { openQueues } from './queues.ts'
import type { Queues } from './queues.ts'
import { redisMissing, startTestRedis, testJob } from './testing.ts'
import type { TestRedis } from './testing.ts'

const skip = await redisMissing()
const long = { firstMs: 60_000, longestMs: 600_000 }
const short = { firstMs: 1, longestMs: 1 }
let redis: TestRedis
let queues: Queues
const processes: BackOff[] = []
const closing: (() => void | Promise<void>)[] = []

before(async () => {
  if (skip) return
  redis = await startTestRedis()
  queues = openQueues({ endpoint: redis.endpoint, prefix: 'sluice', names: ['relay'], log: silentLog() })
  for (const service of ['one', 'other']) {
    const connection = connectProducer({ address: redis.address, service, log: silentLog() })
    processes.push(openBackOff(new Producer(connection, 'sluice'), 'sluice', 0))
    closing.push(() => disconnect(connection))
  }
})
beforeEach(async () => {
  if (skip) return
  await redis.empty()
})
after(async () => {
  if (skip) return
  for (const close of closing) await close()
  await queues.close()
  await redis.close()
})

function both(): readonly [BackOff, BackOff] {
  const [one, other] = processes
  assert.ok(one !== undefined && other !== undefined)
  return [one, other]
}

/** Until the time it was left alone for is over. */
async function probe(backOff: BackOff, destination: string, holder: string): Promise<void> {
  for (;;) {
    const entrance = await backOff.enter(destination, holder, 60_000)
    if (entrance.kind === 'probe') return
    assert.equal(entrance.kind, 'wait')
    await sleep(2)
  }
}

/** A Redis that knows of nobody, and whether it takes what is said; the scripts that were called. */
function forgetful(): { readonly producer: Producer; readonly called: string[]; isAway: boolean } {
  const called: string[] = []
  const answer = (name: string, words: unknown) => async (): Promise<unknown> => {
    called.push(name)
    if (state.isAway && name !== 'sluiceNames') throw new Error('away')
    return words
  }
  const scripts = {
    sluiceNames: answer('sluiceNames', ['mark', []]),
    sluiceEnter: answer('sluiceEnter', ['open']),
    sluiceComplained: answer('sluiceComplained', 7),
    sluiceClosed: answer('sluiceClosed', [7, 0]),
  }
  const redis = { ...scripts, defineCommand: () => {} }
  const state = { producer: { redis, ready: async () => redis } as unknown as Producer, called, isAway: false }
  return state
}

test('a complaint that Redis did not take, or has forgotten, costs no question for each message', async () => {
  const said: readonly ((backOff: BackOff) => Promise<unknown>)[] = [
    (backOff) => backOff.complained('far.test', long, 0),
    (backOff) => backOff.closed('far.test', 60_000),
  ]
  for (const say of said) {
    const redis = forgetful()
    const backOff = openBackOff(redis.producer, 'sluice', 60_000)
    assert.deepEqual(await backOff.enter('far.test', 'a', 60_000), { kind: 'open' })
    redis.isAway = true
    await assert.rejects(say(backOff))
    redis.isAway = false
    redis.called.length = 0
    await backOff.enter('far.test', 'a', 60_000)
    assert.deepEqual(redis.called, [], 'it was never taken')
    await say(backOff)
    redis.called.length = 0
    for (let count = 0; count < 3; count += 1) await backOff.enter('far.test', 'a', 60_000)
    assert.deepEqual(redis.called, ['sluiceEnter'], 'the answer is that nobody complains')
  }
})

test('a destination that is known to be left alone stays so when another complaint is not taken', async () => {
  const redis = forgetful()
  const backOff = openBackOff(redis.producer, 'sluice', 60_000)
  await backOff.enter('far.test', 'a', 60_000)
  await backOff.complained('far.test', long, 0)
  redis.isAway = true
  await assert.rejects(backOff.complained('far.test', long, 0))
  redis.isAway = false
  redis.called.length = 0
  await backOff.enter('far.test', 'a', 60_000)
  assert.deepEqual(redis.called, ['sluiceEnter'])
})

test(
  'a destination that asked for less is left alone by all processes, the others are not touched',
  { skip },
  async () => {
    const [one, other] = both()
    assert.equal((await other.enter('far.test', 'a', 60_000)).kind, 'open')
    const pausedMs = await one.complained('far.test', long, 0)
    assert.ok(pausedMs >= 54_000 && pausedMs <= 66_000, `${pausedMs} ms`)
    const entrance = await other.enter('far.test', 'a', 60_000)
    assert.ok(entrance.kind === 'wait' && entrance.suspended)
    assert.deepEqual(entrance.lane, { destination: 'back-off far.test', limit: 0 })
    assert.ok(entrance.waitMs > 0 && entrance.waitMs <= pausedMs, 'the first in line comes back in time')
    assert.equal((await other.enter('near.test', 'a', 60_000)).kind, 'open')
    const [[name, leftMs] = []] = [...(await other.pauses())]
    assert.ok(name === 'far.test' && leftMs !== undefined && leftMs > 0 && leftMs <= pausedMs)
    await other.lift('all')
    assert.equal((await one.pauses()).size, 0)
  },
)

test(
  'each further complaint doubles the time, up to the longest; those under way together count once',
  { skip },
  async () => {
    const [one, other] = both()
    const pauses: number[] = []
    const pause = { firstMs: 10_000, longestMs: 80_000 }
    for (let times = 0; times < 5; times++) pauses.push(await one.complained('far.test', pause, 0))
    const nominal = [10_000, 20_000, 40_000, 80_000, 80_000]
    for (const [index, pausedMs] of pauses.entries()) {
      const expected = nominal[index] ?? 0
      assert.ok(Math.abs(pausedMs - expected) <= expected * 0.1 + 1, `${pausedMs} is about ${expected}`)
    }
    assert.equal(await other.complained('far.test', pause, 3_600_000), 0, 'it began before the last complaint')
  },
)

test('afterwards one message probes, and each that goes well lets one more in until all may go', { skip }, async () => {
  const [one, other] = both()
  await one.complained('far.test', short, 0)
  await probe(other, 'far.test', 'first')
  const refused = await one.enter('far.test', 'second', 60_000)
  assert.ok(refused.kind === 'wait' && !refused.suspended)
  assert.equal(refused.lane.limit, 1)
  await other.leave('far.test', 'first', true)
  assert.equal((await one.enter('far.test', 'a', 60_000)).kind, 'probe')
  assert.equal((await other.enter('far.test', 'b', 60_000)).kind, 'probe')
  assert.equal((await one.enter('far.test', 'c', 60_000)).kind, 'wait')
  await one.leave('far.test', 'a', false)
  await other.leave('far.test', 'b', false)
  for (let times = 0; times < 30; times++) {
    if ((await one.enter('far.test', 'next', 60_000)).kind === 'open') return
    await one.leave('far.test', 'next', true)
  }
  assert.fail('it never counted as recovered')
})

test('a probe that finds it still complaining suspends it again', { skip }, async () => {
  const [one, other] = both()
  await one.complained('far.test', short, 0)
  await probe(one, 'far.test', 'first')
  await one.complained('far.test', long, 0)
  await one.leave('far.test', 'first', false)
  const entrance = await other.enter('far.test', 'second', 60_000)
  assert.ok(entrance.kind === 'wait' && entrance.suspended)
})

test('what an operator wants tried now is tried now, though its destination is left alone', { skip }, async () => {
  const [one, other] = both()
  const job = testJob('relay', { destination: 'smtp://Far.test:25' })
  await queues.add([{ ...job, delayMs: 600_000 }])
  await one.complained('far.test', long, 0)
  await one.complained('near.test', long, 0)
  assert.equal(await queues.promote('relay', job.jobId), 1)
  assert.equal((await other.enter('far.test', 'first', 60_000)).kind, 'probe')
  assert.equal((await other.enter('far.test', 'second', 60_000)).kind, 'wait', 'one at a time')
  assert.equal((await other.enter('near.test', 'third', 60_000)).kind, 'wait', 'that was not asked for')
  await queues.promote('relay', 'all')
  assert.equal((await other.enter('near.test', 'third', 60_000)).kind, 'probe')
})

test('a probe whose process died does not close the destination for ever', { skip }, async () => {
  const [one, other] = both()
  await one.complained('far.test', short, 0)
  for (;;) {
    if ((await one.enter('far.test', 'dying', 5)).kind === 'probe') break
    await sleep(2)
  }
  await probe(other, 'far.test', 'next')
})

test('a probe that came to nothing brings nothing else back: it would fare no better', { skip }, async () => {
  const [one] = both()
  await one.complained('far.test', short, 0)
  await probe(one, 'far.test', 'first')
  const job = testJob('relay')
  await queues.add([{ ...job, delayMs: 600_000 }])
  const entrance = await one.enter('far.test', job.jobId, 60_000)
  assert.ok(entrance.kind === 'wait')
  await queues.lanes.park({ ...entrance.lane, queue: 'relay', jobId: job.jobId, order: 1 })
  await one.leave('far.test', 'first', false)
  assert.equal((await queues.job('relay', job.jobId))?.state, 'delayed')
})

test('what waits is brought back as soon as the probe went well, the oldest message first', { skip }, async () => {
  const [one] = both()
  await one.complained('far.test', short, 0)
  await probe(one, 'far.test', 'first')
  const jobs = [3000, 1000, 2000].map((receivedAt) => testJob('relay', { receivedAt }))
  await queues.add(jobs.map((job) => ({ ...job, delayMs: 600_000 })))
  for (const { jobId, data } of jobs) {
    const entrance = await one.enter('far.test', jobId, 60_000)
    assert.ok(entrance.kind === 'wait')
    await queues.lanes.park({ ...entrance.lane, queue: 'relay', jobId, order: data.receivedAt })
  }
  await one.leave('far.test', 'first', true)
  const waiting = await queues.list('relay', ['waiting'], 0, 9)
  assert.deepEqual(new Set(waiting.map(({ jobId }) => jobId)), new Set([jobs[1]?.jobId, jobs[2]?.jobId]))
})

test('a destination whose hosts are all left alone is closed for as long, also for who says so', { skip }, async () => {
  const [one, other] = both()
  const said = await one.closed('far.test', 60_000)
  assert.ok(said.waitMs > 50_000 && said.suspended)
  const entrance = await other.enter('far.test', 'a', 60_000)
  assert.ok(entrance.kind === 'wait' && entrance.suspended && entrance.waitMs > 50_000)
  const pausedMs = await other.complained('far.test', { firstMs: 10_000, longestMs: 80_000 }, 0)
  assert.ok(pausedMs <= 11_000, 'it counts for no complaint')
})

test('what waits in a lane that its domain has left is brought back one by one', { skip }, async () => {
  const [one] = both()
  await one.complained('mx.old.test', long, 0)
  const jobs = [3000, 1000].map((receivedAt) => testJob('relay', { receivedAt, lane: 'mx.old.test' }))
  await queues.add(jobs.map((job) => ({ ...job, delayMs: 600_000 })))
  for (const { jobId, data } of jobs) {
    await queues.lanes.park({
      destination: 'back-off mx.old.test',
      limit: 0,
      queue: 'relay',
      jobId,
      order: data.receivedAt,
    })
  }
  assert.ok(await queues.lanes.bringNext('back-off mx.old.test'))
  assert.deepEqual(
    (await queues.list('relay', ['waiting'], 0, 9)).map(({ jobId }) => jobId),
    [jobs[1]?.jobId],
  )
})

test('what an operator wants tried lifts the lane it waits in', { skip }, async () => {
  const [one, other] = both()
  const job = testJob('relay', { destination: 'far.test', lane: 'mx.shared.test' })
  await queues.add([{ ...job, delayMs: 600_000 }])
  await one.complained('mx.shared.test', long, 0)
  await queues.promote('relay', job.jobId)
  assert.equal((await other.enter('mx.shared.test', 'first', 60_000)).kind, 'probe')
})
