import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'

import { silentLog } from '../log.ts'
import { newMessageId } from '../mail/message-id.ts'
import { connectOnce } from './connection.ts'
import { heldQueue, openQueues } from './queues.ts'
import type { StageJob } from './job.ts'
import type { Queues } from './queues.ts'
import { redisMissing, signalOf, startTestRedis, testJob } from './testing.ts'
import type { TestRedis } from './testing.ts'

const skip = await redisMissing()
let redis: TestRedis
let queues: Queues

before(async () => {
  if (skip) return
  redis = await startTestRedis()
  queues = openQueues({ endpoint: redis.endpoint, prefix: 'sluice', names: ['filter', 'relay'], log: silentLog() })
})
beforeEach(() => (skip ? undefined : flush()))
after(async () => {
  if (skip) return
  await queues.close()
  await redis.close()
})

test('adding the same job twice leaves one', { skip }, async () => {
  const job = testJob('filter')
  await Promise.all([queues.add([job, job]), queues.add([job])])
  await queues.add([{ ...job, data: { ...job.data, attempts: 7 } }])
  assert.equal((await queues.counts()).get('filter')?.waiting, 1)
  assert.equal((await queues.job('filter', job.jobId))?.data.attempts, 0, 'the first one stands')
})

test('a job that was finished a moment ago is not run again when it is added again', { skip }, async () => {
  const job = testJob('filter')
  await queues.add([job])
  const done = signalOf()
  const worker = queues.work('filter', {
    concurrency: 1,
    handler: () => {
      setImmediate(done.resolve)
      return Promise.resolve({ kind: 'done' })
    },
  })
  await done.promise
  await worker.close()
  await queues.add([job])
  assert.deepEqual((await queues.counts()).get('filter'), { waiting: 0, active: 0, delayed: 0, paused: false })
})

test('thousands of jobs added at once all arrive, in both queues', { skip }, async () => {
  const jobs = Array.from({ length: 3000 }, (_, at) => testJob(at % 2 === 0 ? 'filter' : 'relay'))
  await Promise.all(jobs.map((job) => queues.add([job])))
  const counts = await queues.counts()
  assert.deepEqual([counts.get('filter')?.waiting, counts.get('relay')?.waiting], [1500, 1500])
  assert.ok((await queues.exists(jobs)).every(Boolean))
})

test('a job id BullMQ would misread is refused before anything is sent', { skip }, async () => {
  await assert.rejects(queues.add([{ ...testJob('filter'), jobId: '123' }]), TypeError)
  await assert.rejects(queues.add([{ ...testJob('filter'), jobId: 'a:b' }]), TypeError)
  assert.equal((await queues.counts()).get('filter')?.waiting, 0)
})

test('an operator sees when a delayed job runs, and can run it now', { skip }, async () => {
  const [first, second] = [testJob('relay'), testJob('relay')]
  const addedAt = Date.now()
  await queues.add([
    { ...first, delayMs: 60_000 },
    { ...second, delayMs: 30_000 },
  ])
  const list = await queues.list('relay', ['delayed'], 0, 9)
  assert.deepEqual(
    list.map(({ jobId }) => jobId),
    [second.jobId, first.jobId],
  )
  assert.ok((list[1]?.nextAt ?? 0) >= addedAt + 60_000)
  assert.equal(await queues.promote('relay', first.jobId), 1)
  assert.equal(await queues.promote('relay', first.jobId), 0)
  assert.equal((await queues.job('relay', first.jobId))?.state, 'waiting')
  assert.equal(await queues.promote('relay', 'all'), 1)
  assert.equal((await queues.counts()).get('relay')?.waiting, 2)
})

test('jobs are listed in the order they will run', { skip }, async () => {
  const jobs = Array.from({ length: 5 }, () => testJob('filter'))
  for (const job of jobs) await queues.add([job])
  const page = await queues.list('filter', ['waiting'], 1, 2)
  assert.deepEqual(
    page.map(({ jobId }) => jobId),
    jobs.slice(1, 3).map(({ jobId }) => jobId),
  )
})

test('all jobs of a message are found, in every queue, and no others', { skip }, async () => {
  const id = newMessageId(Date.now())
  await queues.add([testJob('filter', { id }), testJob('relay', { id }), testJob('relay')])
  assert.deepEqual((await queues.jobsOf(id)).map(({ queue }) => queue).sort(), ['filter', 'relay'])
  assert.deepEqual(await queues.jobsOf(newMessageId(0)), [])
  assert.ok((await queues.messagesWithJobs()).has(id))
  assert.equal((await queues.messagesWithJobs()).size, 2)
})

test('a waiting job can be removed, one in work cannot', { skip }, async () => {
  const job = testJob('filter')
  await queues.add([job])
  assert.equal(await queues.remove('filter', job.jobId), true)
  assert.equal(await queues.remove('filter', job.jobId), false)

  const [taken, finish] = [signalOf(), signalOf()]
  await queues.add([job])
  const worker = queues.work('filter', {
    concurrency: 1,
    async handler() {
      taken.resolve()
      await finish.promise
      return { kind: 'done' }
    },
  })
  await taken.promise
  assert.equal(await queues.remove('filter', job.jobId), false)
  assert.equal((await queues.job('filter', job.jobId))?.state, 'active')
  finish.resolve()
  await worker.close()
})

test(
  'a job is changed where it lies, and runs at once when that is asked; one in work is left alone',
  { skip },
  async () => {
    const [waiting, delayed] = [testJob('filter'), { ...testJob('relay'), delayMs: 60_000 }]
    await queues.add([waiting, delayed])
    const marked = (data: StageJob): StageJob => ({ ...data, recheck: true })
    assert.equal(await queues.change('relay', delayed.jobId, marked), true)
    assert.equal((await queues.job('relay', delayed.jobId))?.state, 'delayed')
    assert.equal(await queues.change('relay', delayed.jobId, marked, true), true)
    const woken = await queues.job('relay', delayed.jobId)
    assert.deepEqual([woken?.state, woken?.data.recheck], ['waiting', true])
    assert.equal(await queues.change('filter', 'no.such.job', marked), false)

    const seen: boolean[] = []
    const done = signalOf()
    const worker = queues.work('filter', {
      concurrency: 1,
      async handler() {
        seen.push(await queues.change('filter', waiting.jobId, marked))
        seen.push((await queues.split('filter', waiting.jobId, 0)) !== undefined)
        setImmediate(done.resolve)
        return { kind: 'done' }
      },
    })
    await done.promise
    await worker.close()
    assert.deepEqual(seen, [false, false])
    assert.equal(await queues.change('filter', waiting.jobId, marked), false, 'it is done')
  },
)

test('two changes of one job in the same moment are both made', { skip }, async () => {
  const job = testJob('filter', { rcpt: [0, 1, 2, 3], to: [0, 1, 2, 3].map((one) => `${one}@a.test` as never) })
  await queues.add([job])
  const added = (name: string) => (data: StageJob) => ({ ...data, tags: [...data.tags, name as never] })
  await Promise.all(['a', 'b', 'c'].map((name) => queues.change('filter', job.jobId, added(name))))
  assert.deepEqual((await queues.job('filter', job.jobId))?.data.tags.toSorted(), ['a', 'b', 'c'] as never)
})

test('one recipient gets a job of his own in the same place, at the same time', { skip }, async () => {
  const to = [0, 1, 2].map((one) => `${one}@a.test` as never)
  const job = { ...testJob('relay', { rcpt: [0, 1, 2], to }), delayMs: 3_600_000 }
  await queues.add([job])
  const own = await queues.split('relay', job.jobId, 1)
  assert.ok(own !== undefined && own !== job.jobId)
  const [rest, split] = [await queues.job('relay', job.jobId), await queues.job('relay', own)]
  assert.deepEqual([rest?.data.rcpt, rest?.data.to, rest?.data.recheck], [[0, 2], [to[0], to[2]], true])
  assert.deepEqual([split?.data.rcpt, split?.data.to, split?.data.recheck], [[1], [to[1]], true])
  assert.deepEqual([rest?.state, split?.state], ['delayed', 'delayed'])
  assert.equal(await queues.split('relay', own, 1), own, 'he has it to himself already')
  assert.equal(await queues.split('relay', job.jobId, 1), undefined, 'it is not in that job any more')
})

test('a paused queue keeps its jobs until it is resumed', { skip }, async () => {
  await queues.pause('filter')
  const taken = signalOf()
  const worker = queues.work('filter', {
    concurrency: 1,
    handler: () => {
      taken.resolve()
      return Promise.resolve({ kind: 'done' })
    },
  })
  await worker.ready()
  await queues.add([testJob('filter')])
  assert.deepEqual((await queues.counts()).get('filter'), { waiting: 1, active: 0, delayed: 0, paused: true })
  await queues.resume('filter')
  await taken.promise
  await worker.close()
})

test('a held job goes back into its queue when it is released, and may be held again', { skip }, async () => {
  const job = testJob('filter')
  await queues.add([job])
  for (let round = 0; round < 2; round++) {
    await parkAll('filter')
    const held = await queues.job(heldQueue, job.jobId)
    assert.equal(held?.reason, 'quarantine')
    assert.equal(held.data.held?.queue, 'filter')
    assert.ok(((await queues.heldByQueue(100)).get('filter') ?? 0) > 0)
    assert.equal(await queues.release(job.jobId), true)
    assert.equal((await queues.job('filter', job.jobId))?.state, 'waiting')
    assert.equal((await queues.job('filter', job.jobId))?.data.recheck, true)
    assert.equal(await queues.job(heldQueue, job.jobId), undefined)
  }
  assert.equal(await queues.release(job.jobId), false)
})

test('an emptied Redis is told from the one that was filled', { skip }, async () => {
  assert.equal(await queues.wiped(), true, 'never filled')
  const epoch = await queues.ensureEpoch()
  assert.equal(await queues.ensureEpoch(), epoch)
  assert.equal(await queues.wiped(), false)
  assert.equal(await queues.wiped('another'), true)
  await flush()
  assert.equal(await queues.wiped(), true)
  assert.notEqual(await queues.ensureEpoch(), epoch)
  assert.equal(await queues.wiped(epoch), true, 'who knew the old one must rebuild')
})

test('the age of the oldest job tells how long it has been due', { skip }, async () => {
  assert.equal(await queues.oldestAgeMs('filter'), 0)
  await queues.add([testJob('filter', { sender: 'who sent nothing before' })])
  const client = await connectOnce(redis.address, 'test', 2000)
  const [jobId = ''] = await client.lrange('sluice:filter:wait', 0, 0)
  await client.hset(`sluice:filter:${jobId}`, 'timestamp', Date.now() - 5000)
  assert.ok((await queues.oldestAgeMs('filter')) >= 5000)
  client.disconnect()
})

async function parkAll(queue: string): Promise<void> {
  const parked = signalOf()
  const worker = queues.work(queue, {
    concurrency: 1,
    handler: (data) => {
      setImmediate(parked.resolve)
      return Promise.resolve({ kind: 'park', data, reason: 'quarantine' })
    },
  })
  await parked.promise
  await worker.close()
}

async function flush(): Promise<void> {
  await redis.empty()
}

test('one recipient of a held job is let go or taken out, and the others stay held', { skip }, async () => {
  const to = ['a@x.test', 'b@x.test', 'c@x.test', 'd@x.test'] as readonly string[] as StageJob['to']
  const job = testJob('filter', { rcpt: [0, 2, 3, 5], to })
  await queues.add([job])
  assert.ok(await queues.hold('filter', job.jobId, 'spam'))
  const held = async () => (await queues.job(heldQueue, job.jobId))?.data

  assert.equal(await queues.releaseOne(job.jobId, 2), true)
  assert.equal(await queues.releaseOne(job.jobId, 2), false)
  assert.deepEqual(
    [(await held())?.rcpt, (await held())?.to],
    [
      [0, 3, 5],
      [to[0], to[2], to[3]],
    ],
  )
  const [freed] = await queues.list('filter', ['waiting'], 0, 9)
  assert.deepEqual([freed?.data.rcpt, freed?.data.to, freed?.data.recheck], [[2], [to[1]], true])
  assert.equal(freed?.data.held, undefined)

  assert.deepEqual(await Promise.all([0, 5].map((one) => queues.removeOne(job.jobId, one))), [true, true])
  assert.deepEqual((await held())?.rcpt, [3])
  assert.equal(await queues.removeOne(job.jobId, 4), false)
  assert.equal(await queues.releaseOne(job.jobId, 3), true)
  assert.equal(await held(), undefined)
  assert.equal((await queues.counts()).get('filter')?.waiting, 2)
  assert.equal(await queues.removeOne(job.jobId, 3), false)
})
