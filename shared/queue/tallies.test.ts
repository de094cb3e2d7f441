import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'

import { silentLog } from '../log.ts'
import { connectOnce } from './connection.ts'
import { openQueues } from './queues.ts'
import type { Queues } from './queues.ts'
import { redisMissing, startTestRedis } from './testing.ts'
import type { TestRedis } from './testing.ts'
import { QueueUnavailableError } from './unavailable.ts'

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

const minuteMs = 60_000

test('what several processes add comes together, and asking adds nothing', { skip }, async () => {
  const { tallies } = queues
  const add = (key: string, amount: number) => ({ key, amount, keepMs: minuteMs })
  assert.deepEqual(await tallies.merge([add('a', 3), add('b', 1), add('c', 0)]), [3, 1, 0])
  assert.deepEqual(await tallies.merge([add('b', 4), add('a', -1), add('c', 0)]), [5, 2, 0])
  assert.deepEqual(await tallies.merge([]), [])
  const many = Array.from({ length: 1_203 }, (_, index) => add(`k${index}`, index))
  assert.deepEqual(
    await tallies.merge(many),
    many.map(({ amount }) => amount),
  )
})

test('a count is forgotten when its time is over', { skip }, async () => {
  await queues.tallies.merge([
    { key: 'a', amount: 1, keepMs: minuteMs },
    { key: 'b', amount: 0, keepMs: minuteMs },
  ])
  const client = await connectOnce(redis.address, 'test', 30_000)
  try {
    assert.deepEqual(await client.keys('*'), ['sluice:@tally:a'])
    const leftMs = await client.pttl('sluice:@tally:a')
    assert.ok(leftMs > 0 && leftMs <= minuteMs, String(leftMs))
  } finally {
    client.disconnect()
  }
})

test('a ban is there until it is removed or over, and each change has a version of its own', { skip }, async () => {
  const { bans } = queues
  assert.equal(await bans.version(), undefined)
  const ban = { client: '192.0.2.7', since: 1_000, until: 2_000, reason: 'x' }
  await bans.add(ban)
  await bans.add({ ...ban, client: '2001:db8:0:0', until: 3_000 })
  const version = await bans.version()
  assert.deepEqual((await bans.list(1_500)).map(({ client }) => client).toSorted(), ['192.0.2.7', '2001:db8:0:0'])
  assert.deepEqual(await bans.list(2_000), [{ ...ban, client: '2001:db8:0:0', until: 3_000 }])
  assert.equal(await bans.remove('192.0.2.7'), false, 'it was over')
  assert.equal(await bans.version(), version)
  assert.equal(await bans.remove('2001:db8:0:0'), true)
  assert.notEqual(await bans.version(), version)
  assert.deepEqual(await bans.list(0), [])
})

test('what is no ban in Redis is dropped', { skip }, async () => {
  const client = await connectOnce(redis.address, 'test', 30_000)
  try {
    await client.hset('sluice:@bans', 'a', '{', 'b', '{}', 'c', 'null')
  } finally {
    client.disconnect()
  }
  assert.deepEqual(await queues.bans.list(0), [])
})

test('while Redis is away, it is said so', { skip }, async () => {
  await redis.stop()
  await assert.rejects(queues.tallies.merge([{ key: 'a', amount: 1, keepMs: 1 }]), QueueUnavailableError)
  await assert.rejects(queues.bans.version(), QueueUnavailableError)
})
