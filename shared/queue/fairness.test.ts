import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'

import { silentLog } from '../log.ts'
import type { NewJob, StageJob } from './job.ts'
import { openQueues } from './queues.ts'
import type { JobResult, Queues } from './queues.ts'
import { redisMissing, signalOf, startTestRedis, testJob } from './testing.ts'
import type { TestRedis } from './testing.ts'

const skip = await redisMissing()
let redis: TestRedis
let queues: Queues

before(async () => {
  if (!skip) redis = await startTestRedis()
})
beforeEach(async () => {
  if (skip) return
  await redis.empty()
  // Each with no memory of who sent much.
  await queues?.close()
  queues = openQueues({ endpoint: redis.endpoint, prefix: 'sluice', names: ['relay'], log: silentLog() })
})
after(async () => {
  if (skip) return
  await queues.close()
  await redis.close()
})

function jobsOf(sender: string, count: number): readonly NewJob[] {
  return Array.from({ length: count }, () => testJob('relay', { sender }))
}

/** Runs until a job of `sender` was taken; whose jobs were taken before it. */
async function takenBefore(
  sender: string,
  decide: (job: StageJob) => JobResult = () => ({ kind: 'done' }),
): Promise<readonly string[]> {
  const order: string[] = []
  const found = signalOf()
  const worker = queues.work('relay', {
    concurrency: 5,
    handler: async (job) => {
      if (job.sender === sender) found.resolve()
      else order.push(job.sender ?? '')
      return decide(job)
    },
  })
  await found.promise
  const before = [...order]
  await worker.close()
  return before
}

test('one message goes out among the next few dozens, though 5,000 of another sender wait', { skip }, async () => {
  await queues.add(jobsOf('newsletter', 5_000))
  await queues.add(jobsOf('jane', 1))
  const before = await takenBefore('jane')
  assert.ok(before.length < 100, `${before.length} went before it`)
})

test('it is so for messages that come back for their next attempt, too', { skip }, async () => {
  await queues.add(jobsOf('newsletter', 500))
  let left = 500
  const allPostponed = signalOf()
  const worker = queues.work('relay', {
    concurrency: 20,
    handler: async (job) => {
      if (job.attempts === 0 && --left === 0) setImmediate(allPostponed.resolve)
      return { kind: 'later', data: { ...job, attempts: job.attempts + 1 }, delayMs: 0, reason: 'busy' }
    },
  })
  await allPostponed.promise
  await worker.close()
  await queues.add(jobsOf('jane', 1))
  const before = await takenBefore('jane')
  assert.ok(before.length < 150, `${before.length} went before it`)
})

test('what waits behind is listed, counted, found and removed like all that waits', { skip }, async () => {
  const jobs = jobsOf('newsletter', 200)
  await queues.add(jobs)
  assert.equal((await queues.counts()).get('relay')?.waiting, 200)
  const listed = [
    ...(await queues.list('relay', ['waiting'], 0, 19)),
    ...(await queues.list('relay', ['waiting'], 20, 59)),
    ...(await queues.list('relay', ['waiting'], 60, 999)),
  ]
  assert.deepEqual(
    listed.map(({ jobId }) => jobId),
    jobs.map(({ jobId }) => jobId),
  )
  assert.equal((await queues.messagesWithJobs()).size, 200)
  const last = jobs.at(-1)?.jobId ?? ''
  assert.equal((await queues.job('relay', last))?.state, 'waiting')
  assert.ok(await queues.hold('relay', last, 'looked at'))
  assert.ok(await queues.release(last))
  assert.ok(await queues.remove('relay', last))
  assert.equal((await queues.counts()).get('relay')?.waiting, 199)
})

test('senders with much mail are not starved by many with little', { skip }, async () => {
  await queues.add(jobsOf('newsletter', 100))
  let others = 0
  const someoneNew = (): NewJob => testJob('relay', { sender: `one-of-many-${others++}` })
  await queues.add(Array.from({ length: 200 }, someoneNew))
  const last = signalOf()
  let taken = 0
  const worker = queues.work('relay', {
    concurrency: 2,
    handler: async (job) => {
      // There is always another one.
      if (job.sender !== 'newsletter') await queues.add([someoneNew(), someoneNew()])
      else if (++taken === 60) last.resolve()
      return { kind: 'done' }
    },
  })
  await last.promise
  await worker.close()
})
