import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { silentLog } from '../log.ts'
import { connectProducer, disconnect } from './connection.ts'
import { openGreylist } from './greylist.ts'
import type { Greylist } from './greylist.ts'
import { Producer } from './producer.ts'
import { redisMissing, startTestRedis } from './testing.ts'
import { QueueUnavailableError } from './unavailable.ts'

const skip = await redisMissing()
const minute = 60_000
const times = { delayMs: 5 * minute, retryMs: 240 * minute, keepMs: 3_000 * minute }
const attempt = { network: '192.0.2.0/24', sender: 'a@example.net', recipient: 'jane@example.org' }

interface Clocked {
  /** Each has a connection of its own, as processes have. */
  readonly greylists: readonly [Greylist, Greylist]
  nowAt: number
  full: boolean
  stopRedis(): Promise<void>
}

async function open(t: TestContext): Promise<Clocked> {
  const redis = await startTestRedis()
  const settings = { address: redis.address, service: 'test', log: silentLog() }
  const connections = [connectProducer(settings), connectProducer(settings)] as const
  t.after(async () => {
    for (const connection of connections) await disconnect(connection)
    await redis.close()
  })
  const one = (index: 0 | 1): Greylist =>
    openGreylist(new Producer(connections[index], 'sluice'), 'sluice', {
      tooFull: () => clocked.full,
      now: () => clocked.nowAt,
    })
  const clocked: Clocked = { greylists: [one(0), one(1)], nowAt: 1_000_000, full: false, stopRedis: () => redis.stop() }
  return clocked
}

test('a stranger is told to come back, and let in when it does, in whatever process', { skip }, async (t) => {
  const clocked = await open(t)
  const [one, other] = clocked.greylists
  assert.equal(await one.waitMs(attempt, times), 5 * minute)
  clocked.nowAt += 2 * minute
  assert.equal(await other.waitMs(attempt, times), 3 * minute)
  clocked.nowAt += 3 * minute
  assert.equal(await other.waitMs(attempt, times), 0)
  assert.equal(await one.waitMs({ ...attempt, recipient: 'john@example.org' }, times), 0)
})

test('each sender and recipient of a network that is not known waits for itself', { skip }, async (t) => {
  const clocked = await open(t)
  const [one] = clocked.greylists
  await one.waitMs(attempt, times)
  clocked.nowAt += 5 * minute
  const others = [{ sender: 'b@example.net' }, { recipient: 'john@example.org' }, { network: '198.51.100.0/24' }]
  for (const other of others) assert.equal(await one.waitMs({ ...attempt, ...other }, times), 5 * minute)
})

test('a Redis that is nearly full remembers nobody, and everybody may send', { skip }, async (t) => {
  const clocked = await open(t)
  clocked.full = true
  assert.equal(await clocked.greylists[0].waitMs(attempt, times), 0)
  clocked.full = false
  assert.equal(await clocked.greylists[0].waitMs(attempt, times), 5 * minute)
})

test('while Redis is away nobody knows', { skip }, async (t) => {
  const clocked = await open(t)
  await clocked.greylists[0].waitMs(attempt, times)
  await clocked.stopRedis()
  await assert.rejects(clocked.greylists[0].waitMs(attempt, times), QueueUnavailableError)
})
