import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { silentLog } from '../log.ts'
import { openQueues } from '../queue/queues.ts'
import type { Queues } from '../queue/queues.ts'
import { redisMissing, startTestRedis } from '../queue/testing.ts'
import { OperationError } from './operation-error.ts'
import { describeLimit, limitQueue, readLimit, restoreLimits } from './queue-limits.ts'

test('a limit is a rate, a number at a time, or both; what cannot be meant is refused with what to write', () => {
  const rows: readonly (readonly [string | undefined, string | undefined, string])[] = [
    ['50/s', undefined, '50/s'],
    ['100/5m', '4', '100/5m, 4 at a time'],
    ['60/1m', undefined, '60/m'],
    ['1/h', undefined, '1/h'],
    [undefined, '12', '12 at a time'],
    ['off', undefined, 'no limit'],
  ]
  for (const [rate, concurrency, told] of rows) assert.equal(describeLimit(readLimit({ rate, concurrency })), told)
  const wrong: readonly (readonly [string | undefined, string | undefined, RegExp])[] = [
    [undefined, undefined, /a rate \(50\/s\)/],
    ['50', undefined, /"50" is not a rate: write 50\/s/],
    ['0/s', undefined, /not a rate/],
    ['5/0s', undefined, /not a rate/],
    ['5/d', undefined, /not a rate/],
    ['5/s', '0', /not a number of messages/],
    ['off', '4', /lifts both/],
  ]
  for (const [rate, concurrency, message] of wrong)
    assert.throws(
      () => readLimit({ rate, concurrency }),
      (error) => error instanceof OperationError && message.test(error.message),
    )
})

test(
  'hosts that share Redis agree about a limit: who decided last has his way',
  { skip: await redisMissing() },
  async (t) => {
    const { queues, folder, empty } = await limitWorld(t)
    const [one, other] = [
      { queues, dataFolder: await folder() },
      { queues, dataFolder: await folder() },
    ]
    const settle = async (): Promise<readonly string[]> => {
      const restored: string[] = []
      for (const parts of [other, one, other, one]) restored.push(...(await restoreLimits(parts)))
      return restored
    }
    const limitOf = async (queue: string): Promise<unknown> => (await queues.counts()).get(queue)?.limit
    const limit = { concurrency: 2, by: 'jane', at: 100 }
    await limitQueue(one, 'filter', limit)
    assert.deepEqual(await settle(), [], 'nobody lifts what another host decided')
    assert.deepEqual(await limitOf('filter'), limit)

    await empty()
    assert.deepEqual(await restoreLimits(other), ['filter'], 'it knows of it')
    assert.deepEqual(await limitOf('filter'), limit)

    await limitQueue(other, 'filter', { by: 'joe', at: 50 })
    assert.deepEqual(await settle(), [], 'lifted, also by a host whose clock is behind')
    assert.equal(await limitOf('filter'), undefined)
    await empty()
    assert.deepEqual(await settle(), [])
    assert.equal(await limitOf('filter'), undefined)
  },
)

test(
  'a limit is there again after Redis was emptied, and one that was lifted meanwhile is not',
  { skip: await redisMissing() },
  async (t) => {
    const { queues, folder, empty } = await limitWorld(t)
    const parts = { queues, dataFolder: await folder() }
    const limit = { rate: { count: 50, periodMs: 1_000 }, by: 'jane', at: 1 }
    assert.deepEqual(await restoreLimits(parts), [])
    await limitQueue(parts, 'filter', limit)
    await limitQueue(parts, 'relay', { concurrency: 2, by: 'jane', at: 2 })
    assert.deepEqual(await restoreLimits(parts), [], 'it is in force at once')
    await empty()
    assert.deepEqual(await restoreLimits(parts), ['filter', 'relay'])
    assert.deepEqual((await queues.limits.read(names)).get('filter'), limit)
    const lifted = { by: 'jane', at: 3 }
    await limitQueue(parts, 'relay', lifted)
    await queues.limits.set('relay', limit)
    assert.deepEqual(await restoreLimits(parts), [], 'what was lifted is not put back')
    assert.deepEqual((await queues.limits.read(names)).get('relay'), lifted)
    const counts = await queues.counts()
    assert.deepEqual([counts.get('filter')?.limit, counts.get('relay')?.limit], [limit, undefined])
    await assert.rejects(limitQueue(parts, 'nothing', limit), /there is no queue 'nothing'; there are: filter relay/)
  },
)

const names = ['filter', 'relay']

async function limitWorld(t: TestContext): Promise<{
  readonly queues: Queues
  readonly folder: () => Promise<string>
  readonly empty: () => Promise<void>
}> {
  const redis = await startTestRedis()
  const queues = openQueues({ endpoint: redis.endpoint, prefix: 'sluice', names, log: silentLog() })
  t.after(async () => {
    await queues.close()
    await redis.close()
  })
  assert.ok(await queues.ready(30_000))
  return {
    queues,
    empty: () => redis.empty(),
    async folder() {
      const path = await mkdtemp(join(tmpdir(), 'sluice-limits-'))
      t.after(() => rm(path, { recursive: true }))
      return path
    },
  }
}
