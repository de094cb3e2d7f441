import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'

import { silentLog } from '../log.ts'
import type { Mailbox } from '../mail/address.ts'
import { connectProducer, disconnect } from './connection.ts'
import { QueueInspector } from './inspect-queues.ts'
import { Producer } from './producer.ts'
import { openQueues } from './queues.ts'
import type { Queues, StageWorker } from './queues.ts'
import { redisMissing, signalOf, startTestRedis, testJob } from './testing.ts'
import type { TestRedis } from './testing.ts'

const hour = 3_600_000
const who = { by: 'jane', at: 1 }

describe('a queue that an operator limits', { skip: await redisMissing() }, () => {
  let redis: TestRedis
  let queues: Queues
  const workers: StageWorker[] = []
  /** Handlers at work now, and at most, over all workers. */
  let [running, most] = [0, 0]

  before(async () => {
    redis = await startTestRedis()
  })

  beforeEach(async () => {
    queues = openQueues({ endpoint: redis.endpoint, prefix: 'sluice', names: ['filter'], log: silentLog() })
    assert.ok(await queues.ready(30_000))
  })

  afterEach(async () => {
    workers.splice(0)
    most = 0
    await queues.close()
    await redis.empty()
  })

  after(() => redis.close())

  /** Tells who was worked on, in order; `until` resolves when there were so many. */
  function worker(concurrency: number) {
    const done: string[] = []
    const waiting: { readonly count: number; readonly resolve: () => void }[] = []
    const work = queues.work('filter', {
      concurrency,
      handler: async ({ from }) => {
        running += 1
        most = Math.max(most, running)
        await new Promise((resolve) => setImmediate(resolve))
        running -= 1
        done.push(from ?? '')
        for (const one of waiting) if (done.length >= one.count) one.resolve()
        return { kind: 'done' }
      },
    })
    workers.push(work)
    return {
      done,
      until(count: number): Promise<void> {
        const { promise, resolve } = signalOf()
        waiting.push({ count, resolve: () => resolve() })
        return promise
      },
    }
  }

  function jobsOf(sender: string, count: number) {
    return Array.from({ length: count }, () => testJob('filter', { from: `${sender}@a.test` as Mailbox, sender }))
  }

  test('takes so many in a time, all workers together, and goes on in its order when the limit is lifted', async () => {
    await queues.limits.set('filter', { rate: { count: 3, periodMs: hour }, ...who })
    await queues.add([...jobsOf('much', 100)])
    await queues.add(jobsOf('little', 1))
    const one = worker(4)
    await one.until(3)
    for (let looks = 0; looks < 50; looks++)
      assert.equal((await queues.counts()).get('filter')?.waiting, 98, 'the fourth is not taken')
    await queues.limits.set('filter', who)
    await one.until(101)
    const place = one.done.indexOf('little@a.test')
    assert.ok(place >= 0 && place < 60, `who sends little is not behind who sends much: place ${place}`)
  })

  test('has so many at work at a time, over two workers, and loses none', async () => {
    await queues.limits.set('filter', { concurrency: 1, ...who })
    await queues.add(jobsOf('jane', 40))
    const [one, other] = [worker(4), worker(4)]
    while (one.done.length + other.done.length < 40) await new Promise((resolve) => setImmediate(resolve))
    assert.equal(most, 1)
    assert.deepEqual((await queues.counts()).get('filter')?.limit, { concurrency: 1, ...who })
  })

  test('is no worker that hangs: the watchdog lets it wait', async () => {
    const connection = connectProducer({ address: redis.address, service: 'test', log: silentLog() })
    const inspector = new QueueInspector(new Producer(connection, 'sluice'), 'sluice')
    await queues.limits.set('filter', { rate: { count: 1, periodMs: hour }, ...who })
    await queues.add(jobsOf('jane', 3))
    const one = worker(1)
    await one.until(1)
    assert.equal(await inspector.overdue('filter', 0), 0)
    await workers[0]?.close()
    await queues.limits.set('filter', who)
    assert.equal(await inspector.overdue('filter', 0), 2)
    await disconnect(connection)
  })
})
