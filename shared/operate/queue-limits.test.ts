import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { silentLog } from '../log.ts'
import { openQueues } from '../queue/queues.ts'
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
  'a limit is there again after Redis was emptied, and one that was lifted meanwhile is not',
  { skip: await redisMissing() },
  async (t) => {
    const redis = await startTestRedis()
    const dataFolder = await mkdtemp(join(tmpdir(), 'sluice-limits-'))
    const names = ['filter', 'relay']
    const queues = openQueues({ endpoint: redis.endpoint, prefix: 'sluice', names, log: silentLog() })
    t.after(async () => {
      await queues.close()
      await redis.close()
      await rm(dataFolder, { recursive: true })
    })
    assert.ok(await queues.ready(30_000))
    const parts = { queues, dataFolder }
    const limit = { rate: { count: 50, periodMs: 1_000 }, by: 'jane', at: 1 }
    assert.deepEqual(await restoreLimits(parts), [])
    await limitQueue(parts, 'filter', limit)
    await limitQueue(parts, 'relay', { concurrency: 2, by: 'jane', at: 2 })
    assert.deepEqual(await restoreLimits(parts), [], 'it is in force at once')
    await redis.empty()
    assert.deepEqual(await restoreLimits(parts), ['filter', 'relay'])
    assert.deepEqual((await queues.limits.read(names)).get('filter'), limit)
    await limitQueue(parts, 'relay', undefined)
    await queues.limits.set('relay', limit)
    assert.deepEqual(await restoreLimits(parts), ['relay'], 'what the disk does not say is no limit')
    assert.deepEqual([...(await queues.limits.read(names)).keys()], ['filter'])
    await assert.rejects(limitQueue(parts, 'nothing', limit), /there is no queue 'nothing'; there are: filter relay/)
  },
)
