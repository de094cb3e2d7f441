import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import type { TestContext } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'

import { silentLog } from '../log.ts'
import { pass } from '../mail/disposition.ts'
import { tag } from '../mail/tag.ts'
import { connectOnce } from './connection.ts'
import type { StageJob } from './job.ts'
import { openQuestions } from './questions.ts'
import { openQueues } from './queues.ts'
import type { Answer, JobControl, Queues } from './queues.ts'
import { redisMissing, signalOf, startTestRedis, testJob } from './testing.ts'
import type { TestRedis } from './testing.ts'

const skip = await redisMissing()
const clean: Answer = { kind: 'decided', disposition: pass(tag('Filtered')) }
const longMs = 60_000
let redis: TestRedis

before(async () => {
  if (!skip) redis = await startTestRedis()
})
beforeEach(async () => {
  if (!skip) await command('flushall')
})
after(async () => {
  if (!skip) await redis.close()
})

test('the decision comes back to the process that asked, and nothing of the question stays', { skip }, async (t) => {
  const [inbound, other, filter] = [open(t), open(t), open(t)]
  const job = testJob('filter')
  answering(filter)
  assert.deepEqual(await Promise.all([ask(inbound, job), ask(other, testJob('filter'))]), [clean, clean])
  await filter.close()
  await inbound.close()
  await other.close()
  const keys = (await command('keys', '*')) as readonly string[]
  assert.deepEqual(
    keys.filter((key) => key.includes(job.data.id)),
    [],
  )
  assert.equal(await command('zcard', 'sluice:filter:completed'), 0)
})

test('a question goes before the jobs that wait', { skip }, async (t) => {
  const queues = open(t)
  await queues.add([testJob('filter'), testJob('filter'), testJob('filter')])
  const answered = ask(queues, testJob('filter'))
  while ((await queues.counts()).get('filter')?.waiting !== 4);
  const order: boolean[] = []
  answering(open(t), (job) => order.push(job.question !== undefined))
  await answered
  assert.equal(order[0], true)
})

test('without a worker there is no answer at the deadline, and no job is left for later', { skip }, async (t) => {
  const queues = open(t)
  const answer = await ask(queues, testJob('filter'), 200)
  assert.deepEqual(answer, { kind: 'none', reason: 'nobody answered in time' })
  while ((await queues.counts()).get('filter')?.waiting !== 0);
})

test('a question that is added while the one who asked leaves is taken back', async () => {
  const [adding, added, removed] = [signalOf(), signalOf(), signalOf()]
  const kept = new Set<string>()
  const questions = openQuestions({
    producer: { ready: async () => undefined } as never,
    prefix: 'sluice',
    connect: () => ({ status: 'ready', on: () => undefined, subscribe: async () => 1 }) as never,
    add: async ([job]) => {
      adding.resolve()
      await added.promise
      kept.add(job?.jobId ?? '')
    },
    remove: async (_queue, jobId) => {
      if (kept.delete(jobId)) removed.resolve()
      return true
    },
  })
  const controller = new AbortController()
  const answer = questions.ask(testJob('filter'), { untilAt: Date.now() + longMs, signal: controller.signal })
  await adding.promise
  controller.abort('the client is gone')
  assert.equal((await answer).kind, 'none')
  added.resolve()
  await removed.promise
  assert.equal(kept.size, 0)
})

test('nobody is asked for a client that is gone', { skip }, async (t) => {
  const queues = open(t)
  const controller = new AbortController()
  const answer = queues.questions.ask(testJob('filter'), { untilAt: Date.now() + longMs, signal: controller.signal })
  while ((await queues.counts()).get('filter')?.waiting !== 1);
  controller.abort('the client is gone')
  assert.deepEqual(await answer, { kind: 'none', reason: 'the client is gone' })
  while ((await queues.counts()).get('filter')?.waiting !== 0);
})

test('when Redis is away, or goes away, there is no answer at once; when it is back there is', { skip }, async (t) => {
  const queues = open(t)
  const waits = ask(queues, testJob('filter'))
  while ((await queues.counts()).get('filter')?.waiting !== 1);
  await redis.stop()
  assert.equal((await waits).kind, 'none')
  assert.equal((await ask(queues, testJob('filter'))).kind, 'none')
  await redis.start()
  answering(open(t))
  while ((await ask(queues, testJob('filter'))).kind !== 'decided') await turn()
})

test(
  'a question whose worker died is started again at most to be told so, and is never poison',
  { skip },
  async (t) => {
    const [inbound, filter] = [open(t), open(t)]
    const job = testJob('filter')
    const answer = ask(inbound, job)
    while ((await inbound.counts()).get('filter')?.waiting !== 1);
    // As BullMQ leaves a job whose worker was killed.
    await command('hset', `sluice:filter:${job.jobId}`, 'stc', '9', 'ats', '9')
    const starts: number[] = []
    answering(filter, (_, control) => starts.push(control.starts))
    assert.deepEqual(await answer, clean)
    assert.deepEqual(starts, [10])
    assert.equal((await inbound.counts()).get('held')?.waiting, 0)
  },
)

test('an operator cannot hold a question: its message is not accepted', { skip }, async (t) => {
  const queues = open(t)
  const job = testJob('filter')
  const controller = new AbortController()
  const answer = queues.questions.ask(job, { untilAt: Date.now() + longMs, signal: controller.signal })
  while ((await queues.counts()).get('filter')?.waiting !== 1);
  assert.equal(await queues.hold('filter', job.jobId, 'look'), false)
  controller.abort('done')
  await answer
})

test('hundreds at a time are answered together, and nothing warns of them', { skip }, async (t) => {
  const warnings: string[] = []
  const take = (warning: Error): void => void warnings.push(warning.name)
  process.on('warning', take)
  t.after(() => process.off('warning', take))
  const [inbound, filter] = [open(t), open(t)]
  const all = Array.from({ length: 300 }, () => ask(inbound, testJob('filter')))
  const last = signalOf()
  let running = 0
  filter.work('filter', {
    concurrency: 300,
    handler: async (job, control) => {
      running += 1
      if (running === 300) last.resolve()
      await last.promise
      if (job.question !== undefined) await filter.questions.answer(job.question, control.jobId, clean)
      return { kind: 'done' }
    },
  })
  for (const answer of await Promise.all(all)) assert.deepEqual(answer, clean)
  assert.deepEqual(warnings, [])
})

function open(t: TestContext): Queues {
  const queues = openQueues({ endpoint: redis.endpoint, prefix: 'sluice', names: ['filter'], log: silentLog() })
  t.after(() => queues.close())
  return queues
}

function ask(queues: Queues, job: ReturnType<typeof testJob>, forMs = longMs): Promise<Answer> {
  return queues.questions.ask(job, { untilAt: Date.now() + forMs, signal: new AbortController().signal })
}

function answering(queues: Queues, seen: (job: StageJob, control: JobControl) => void = () => undefined): void {
  queues.work('filter', {
    concurrency: 1,
    handler: async (job, control) => {
      seen(job, control)
      if (job.question !== undefined) await queues.questions.answer(job.question, control.jobId, clean)
      return { kind: 'done' }
    },
  })
}

async function command(...words: readonly [string, ...string[]]): Promise<unknown> {
  const connection = await connectOnce(redis.address, 'test', 5_000)
  try {
    const [name, ...rest] = words
    return await connection.call(name, ...rest)
  } finally {
    connection.disconnect()
  }
}
