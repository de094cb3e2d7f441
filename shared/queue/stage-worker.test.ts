import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { after, before, beforeEach, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'

import { silentLog } from '../log.ts'
import { connectOnce } from './connection.ts'
import { heldQueue, openQueues } from './queues.ts'
import type { JobControl, JobResult, Queues, WorkOptions } from './queues.ts'
import type { StageJob } from './job.ts'
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
  await command('flushall')
  queues = openQueues({ endpoint: redis.endpoint, prefix: 'sluice', names: ['filter'], log: silentLog() })
})
after(async () => {
  if (!skip) await redis.close()
})

test('how long a job waited is told at its first start, not of one that was to wait', { skip }, async () => {
  const [first, later] = [testJob('filter'), { ...testJob('filter'), delayMs: 10 }]
  await queues.add([first, later])
  const runs = await runTimes(3, (data) =>
    data.id !== first.data.id || data.attempts > 0
      ? { kind: 'done' }
      : { kind: 'later', data: { ...data, attempts: 1 }, delayMs: 10, reason: 'again' },
  )
  const told = runs.map(({ data, control }) => [data.id === first.data.id, control.starts, control.waitedMs])
  const waited = told.filter(([, , waitedMs]) => waitedMs !== undefined)
  assert.deepEqual(
    waited.map(([isFirst, starts]) => [isFirst, starts]),
    [[true, 1]],
    JSON.stringify(told),
  )
  assert.ok(waited.every(([, , waitedMs]) => Number(waitedMs) >= 0))
  await queues.close()
})

test('a retry keeps its new data and runs when it is due, counted as no failure', { skip }, async () => {
  const job = testJob('filter')
  await queues.add([job])
  const runs = await runTimes(2, (data) => {
    if (data.attempts > 0) return { kind: 'done' }
    return {
      kind: 'later',
      data: { ...data, attempts: 1, lastReply: '451 4.7.1 later' },
      delayMs: 50,
      reason: 'greylisted',
    }
  })
  assert.deepEqual(
    runs.map(({ data, control }) => [data.attempts, data.lastReply, control.starts]),
    [
      [0, undefined, 1],
      [1, '451 4.7.1 later', 2],
    ],
  )
  await queues.close()
})

test('a worker that may do more at a time does so once a job has ended', { skip }, async () => {
  await queues.add([testJob('filter'), testJob('filter'), testJob('filter'), testJob('filter')])
  const [first, mayEnd, threeRun] = [signalOf(), signalOf(), signalOf()]
  let started = 0
  const worker = queues.work('filter', {
    concurrency: 1,
    handler: async () => {
      started += 1
      first.resolve()
      if (started === 4) threeRun.resolve()
      await (started === 1 ? mayEnd.promise : threeRun.promise)
      return { kind: 'done' }
    },
  })
  await first.promise
  assert.equal(worker.running, 1)
  worker.setConcurrency(3)
  mayEnd.resolve()
  await threeRun.promise
  await queues.close()
})

test('an operator reads the reason of a retry beside its time', { skip }, async () => {
  const job = testJob('filter')
  await queues.add([job])
  await runTimes(1, (data) => ({ kind: 'later', data, delayMs: 60_000, reason: '451 try later' }))
  await closeWorkers()
  const seen = await queues.job('filter', job.jobId)
  assert.equal(seen?.state, 'delayed')
  assert.equal(seen.reason, '451 try later')
  assert.ok((seen.nextAt ?? 0) > Date.now() + 50_000)
  await queues.close()
})

test('a handler that throws never loses the job: it runs again later', { skip }, async () => {
  const job = testJob('filter')
  await queues.add([job])
  await runTimes(1, () => {
    throw new Error('cannot parse')
  })
  await closeWorkers()
  const seen = await queues.job('filter', job.jobId)
  assert.deepEqual([seen?.state, seen?.reason], ['delayed', 'cannot parse'])
  await queues.close()
})

test('a held job keeps its data and the evidence, once, and leaves its queue', { skip }, async () => {
  const job = testJob('filter')
  await queues.add([job])
  await runTimes(1, (data) => ({ kind: 'park', data: { ...data, attempts: 3 }, reason: 'virus' }))
  await closeWorkers()
  const [held, ...more] = await queues.list(heldQueue, ['waiting'], 0, 9)
  assert.equal(more.length, 0)
  assert.deepEqual(
    [held?.jobId, held?.attempts, held?.data.held?.queue, held?.data.held?.reason],
    [job.jobId, 3, 'filter', 'virus'],
  )
  assert.equal(await queues.job('filter', job.jobId), undefined)
  await queues.close()
})

test('a job of a newer version waits untouched for a worker that can read it', { skip }, async () => {
  const [newer, ours] = [testJob('filter'), testJob('filter')]
  const data = { ...newer.data, v: 2, unheardOf: true } as unknown as StageJob
  await queues.add([{ ...newer, data }, ours])
  const runs = await runTimes(1, () => ({ kind: 'done' }))
  assert.deepEqual(
    runs.map((run) => run.data.id),
    [ours.data.id],
  )
  const left = await queues.job('filter', newer.jobId)
  assert.equal(left?.state, 'delayed')
  assert.match(left?.reason ?? '', /schema 2, which this version cannot read/)
  assert.deepEqual(left?.data, data)
  await queues.close()
})

test('a job that was started five times and never finished is held as poison, others go on', { skip }, async () => {
  const [poison, other] = [testJob('filter'), testJob('filter')]
  await queues.add([poison, other])
  await command('hset', `sluice:filter:${poison.jobId}`, 'stc', '5', 'solo', '4', 'ats', '5')
  const runs = await runTimes(1, () => ({ kind: 'done' }))
  assert.equal(runs[0]?.control.jobId, other.jobId)
  await closeWorkers()
  const held = await queues.job(heldQueue, poison.jobId)
  assert.match(held?.reason ?? '', /poison: started 5 times/)
  assert.equal(held?.data.held?.crashes, 5)
  await queues.close()
})

test(
  'that a job is poison is noted before it is held, and it is held when it could not be noted',
  { skip },
  async () => {
    for (const isNoted of [true, false]) {
      const poison = testJob('filter')
      await queues.add([poison])
      await command('hset', `sluice:filter:${poison.jobId}`, 'stc', '5', 'solo', '4', 'ats', '5')
      const notes: string[] = []
      const worker = queues.work('filter', {
        concurrency: 1,
        handler: () => assert.fail('started once more'),
        onPoison: async (job, reason) => {
          notes.push(`${job.id} ${reason}, held: ${(await queues.job(heldQueue, poison.jobId)) !== undefined}`)
          if (!isNoted) throw new Error('the disk is away')
        },
      })
      while ((await queues.job(heldQueue, poison.jobId)) === undefined) await turn()
      await worker.close()
      assert.deepEqual(notes, [`${poison.data.id} poison: started 5 times and never finished, held: false`])
    }
    await queues.close()
  },
)

test('a job that crashed a worker once gets another chance', { skip }, async () => {
  const job = testJob('filter')
  await queues.add([job])
  await command('hset', `sluice:filter:${job.jobId}`, 'stc', '1', 'ats', '1')
  const runs = await runTimes(1, () => ({ kind: 'done' }))
  assert.equal(runs[0]?.control.starts, 2)
  await queues.close()
})

test('the job of a worker that was killed is run by another', { skip }, async () => {
  const lockMs = 1000
  const job = testJob('filter')
  await queues.add([job])
  const child = spawn(process.execPath, ['--import', 'tsx', workerPath, redis.url, 'filter', String(lockMs)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  child.kill('SIGKILL')
  await once(child, 'exit')
  const [run] = await runTimes(1, () => ({ kind: 'done' }), { lockMs, stalledIntervalMs: lockMs / 2 })
  assert.equal(run?.control.jobId, job.jobId)
  assert.equal(run?.control.starts, 2, 'the handler knows to read the outcome log')
  assert.equal(run.control.brokenOff, true)
  await queues.close()
})

test('a worker that closes gives back what it cannot finish: another takes it at once', { skip }, async () => {
  const job = testJob('filter')
  await queues.add([job])
  const taken = signalOf()
  const aborted = signalOf()
  const worker = queues.work('filter', {
    concurrency: 1,
    handler: (_data, { signal }) => {
      signal.addEventListener('abort', () => aborted.resolve())
      taken.resolve()
      return new Promise(() => {})
    },
  })
  await taken.promise
  await worker.close(10)
  await aborted.promise
  assert.equal((await queues.job('filter', job.jobId))?.state, 'waiting', 'no lock to wait for')
  const [run] = await runTimes(1, () => ({ kind: 'done' }))
  assert.equal(run?.control.brokenOff, true, 'it may have been in the middle of something')
  await queues.close()
})

test('a start that came to no result is told to the next one, and to no later one', { skip }, async () => {
  await queues.add([testJob('filter')])
  let runs = 0
  const seen = await runTimes(3, (data) => {
    runs += 1
    if (runs === 1) throw new Error('the outcome could not be written')
    return runs === 2 ? { kind: 'later', data, delayMs: 0, reason: 'greylisted' } : { kind: 'done' }
  })
  assert.deepEqual(
    seen.map(({ control }) => control.brokenOff),
    [false, true, false],
  )
  await queues.close()
})

test('a handler that ends in time is waited for when the worker closes', { skip }, async () => {
  const job = testJob('filter')
  await queues.add([job])
  const [taken, finish] = [signalOf(), signalOf()]
  const worker = queues.work('filter', {
    concurrency: 1,
    async handler() {
      taken.resolve()
      await finish.promise
      return { kind: 'done' }
    },
  })
  await taken.promise
  const closing = worker.close(60_000)
  finish.resolve()
  await closing
  assert.equal((await queues.job('filter', job.jobId))?.state, 'completed')
  await queues.close()
})

test('no more handlers run at a time than asked for', { skip }, async () => {
  await queues.add(Array.from({ length: 40 }, () => testJob('filter')))
  let now = 0
  let most = 0
  await runTimes(
    40,
    async () => {
      most = Math.max(most, ++now)
      await new Promise((resolve) => setImmediate(resolve))
      now--
      return { kind: 'done' }
    },
    { concurrency: 4 },
  )
  assert.equal(most, 4)
  await queues.close()
})

const workerPath = new URL('testing-worker.ts', import.meta.url).pathname

interface Run {
  readonly data: StageJob
  readonly control: JobControl
}

let closeWorkers: () => Promise<void>

/** Works on `filter` until the handler ran `times` times. */
async function runTimes(
  times: number,
  handler: (data: StageJob) => JobResult | Promise<JobResult>,
  options: Partial<WorkOptions> = {},
): Promise<readonly Run[]> {
  const runs: Run[] = []
  const enough = signalOf()
  const worker = queues.work('filter', {
    concurrency: 1,
    ...options,
    async handler(data, control) {
      runs.push({ data, control })
      if (runs.length === times) setImmediate(enough.resolve)
      return handler(data)
    },
  })
  await enough.promise
  closeWorkers = () => worker.close()
  return runs
}

async function command(name: string, ...words: readonly string[]): Promise<void> {
  const client = await connectOnce(redis.address, 'test', 2000)
  await client.call(name, ...words)
  client.disconnect()
}
