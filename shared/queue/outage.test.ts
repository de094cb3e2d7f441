import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

import { silentLog } from '../log.ts'
import { connectOnce } from './connection.ts'
import { openQueues, QueueUnavailableError } from './queues.ts'
import type { JobResult, Queues } from './queues.ts'
import { redisMissing, signalOf, startTestRedis, testJob } from './testing.ts'
import type { TestRedis } from './testing.ts'

const skip = await redisMissing()
/** A socket without an answer is given up after 3 s; a busy machine takes longer, one that waits for Redis never ends. */
const soonMs = 30_000
const times = { lockMs: 1000, stalledIntervalMs: 500 }
let redis: TestRedis
let queues: Queues

before(async () => {
  if (!skip) redis = await startTestRedis(['--appendfsync', 'always'])
})
beforeEach(async () => {
  if (skip) return
  queues = openQueues({ endpoint: redis.endpoint, prefix: 'sluice', names: ['filter'], log: silentLog() })
  await queues.ready(30_000)
})
afterEach(() => (skip ? undefined : queues.close()))
after(async () => {
  if (!skip) await redis.close()
})

test('adding fails soon while Redis is away, and works again when it is back', { skip, timeout: soonMs }, async () => {
  await redis.kill()
  await assert.rejects(queues.add([testJob('filter')]), QueueUnavailableError)
  await redis.start()
  assert.ok(await queues.ready(30_000))
  await queues.add([testJob('filter')])
  await queues.remove('filter', (await queues.list('filter', ['waiting'], 0, 0))[0]?.jobId ?? '')
})

test('adding fails soon while Redis hangs', { skip, timeout: soonMs }, async () => {
  process.kill(redis.pid, 'SIGSTOP')
  try {
    await assert.rejects(queues.add([testJob('filter')]), QueueUnavailableError)
  } finally {
    process.kill(redis.pid, 'SIGCONT')
  }
  await clear()
})

test('queues that are opened while Redis is away start to work when it comes', { skip }, async () => {
  await redis.stop()
  const late = openQueues({ endpoint: redis.endpoint, prefix: 'sluice', names: ['filter'], log: silentLog() })
  const done = signalOf()
  late.work('filter', { concurrency: 1, ...times, handler: () => finish(done) })
  await redis.start()
  assert.ok(await late.ready(30_000))
  await late.add([testJob('filter')])
  await done.promise
  await late.close()
})

test('a worker goes on after Redis was away longer than its locks, and no job is lost', { skip }, async () => {
  const jobs = Array.from({ length: 20 }, () => testJob('filter'))
  await queues.add(jobs)
  const [outage, all] = [signalOf(), signalOf()]
  const seen = new Map<string, number>()
  const worker = queues.work('filter', {
    concurrency: 5,
    ...times,
    async handler(_data, { jobId }) {
      if (seen.size < 5) await outage.promise
      seen.set(jobId, (seen.get(jobId) ?? 0) + 1)
      if (seen.size === jobs.length) all.resolve()
      return { kind: 'done' }
    },
  })
  while (worker.running < 5) await sleep(5)
  await redis.stop()
  outage.resolve()
  await sleep(1500)
  await redis.start()
  await all.promise
  while ([...(await queues.counts()).values()].some(({ waiting, active }) => waiting + active > 0)) await sleep(50)
  const records = await Promise.all(jobs.map(({ jobId }) => queues.job('filter', jobId)))
  assert.ok(records.every((record) => record?.state === 'completed'))
  await worker.close()
})

test('closing takes seconds at most while Redis is away', { skip, timeout: soonMs }, async () => {
  await queues.add([testJob('filter')])
  const taken = signalOf()
  const worker = queues.work('filter', {
    concurrency: 1,
    ...times,
    handler: () => {
      taken.resolve()
      return new Promise(() => {})
    },
  })
  await taken.promise
  await redis.kill()
  await worker.close(10)
  await queues.close()
  await redis.start()
  await clear()
})

test('a worker whose connections are cut goes on taking jobs', { skip }, async () => {
  let taken = signalOf()
  const worker = queues.work('filter', {
    concurrency: 1,
    ...times,
    handler: () => finish(taken),
  })
  await worker.ready()
  for (let round = 0; round < 3; round++) {
    const client = await connectOnce(redis.address, 'test', 30_000)
    await client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    client.disconnect()
    assert.ok(await queues.ready(30_000))
    taken = signalOf()
    while (
      !(await queues.add([testJob('filter')]).then(
        () => true,
        () => false,
      ))
    )
      await sleep(20)
    await taken.promise
  }
  await worker.close()
})

test('a worker that takes nothing while jobs wait is restarted', { skip }, async () => {
  const taken = signalOf()
  const worker = queues.work('filter', {
    concurrency: 1,
    ...times,
    watchdogMs: 200,
    handler: () => finish(taken),
  })
  await worker.ready()
  await sleep(50)
  // A job whose wake-up call was lost, as after a failover: nothing tells the worker about it for seconds.
  const client = await connectOnce(redis.address, 'test', 30_000)
  const job = testJob('filter')
  await client
    .multi()
    .hset(`sluice:filter:${job.jobId}`, {
      name: 'filter',
      data: JSON.stringify(job.data),
      opts: '{}',
      timestamp: Date.now(),
    })
    .lpush('sluice:filter:wait', job.jobId)
    .exec()
  client.disconnect()
  await taken.promise
  assert.ok(worker.restarts >= 1)
  await worker.close()
})

function finish(taken: { resolve(value: void): void }): Promise<JobResult> {
  taken.resolve()
  return Promise.resolve({ kind: 'done' })
}

async function clear(): Promise<void> {
  await redis.empty()
}
