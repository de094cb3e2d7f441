import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

import type { Redis } from 'ioredis'

import { silentLog } from '../log.ts'
import { connectProducer, disconnect } from './connection.ts'
import { openPenalties } from './penalties.ts'
import type { Penalties } from './penalties.ts'
import { Producer } from './producer.ts'
import { redisMissing, startTestRedis } from './testing.ts'
import type { TestRedis } from './testing.ts'

const skip = await redisMissing()
const hour = { baseMs: 15_000, longestMs: 3_600_000, probeMs: 60_000 }
// Longer than a slow machine takes for a test: what is known of a host is forgotten after twice the longest time.
const short = { baseMs: 1, longestMs: 600_000, probeMs: 60_000 }
let redis: TestRedis
const connections: Redis[] = []

before(async () => {
  if (skip) return
  redis = await startTestRedis()
  for (const service of ['one', 'other']) {
    connections.push(connectProducer({ address: redis.address, service, log: silentLog() }))
  }
})
beforeEach(async () => {
  if (!skip) await redis.empty()
})
after(async () => {
  if (skip) return
  for (const connection of connections) await disconnect(connection)
  await redis.close()
})

/** As two processes have them. */
function both(settings = hour, readAgainMs = 0): readonly [Penalties, Penalties] {
  const [one, other] = connections
  assert.ok(one !== undefined && other !== undefined)
  return [
    openPenalties(new Producer(one, 'sluice'), 'sluice', settings, readAgainMs),
    openPenalties(new Producer(other, 'sluice'), 'sluice', settings, readAgainMs),
  ]
}

/** Until its time is over. */
async function mayTry(penalties: Penalties, host: string): Promise<void> {
  while ((await penalties.waitMs(host)) > 0) await sleep(2)
}

test('a host that failed in one process is left alone by the others, longer each time', { skip }, async () => {
  const [one, other] = both()
  assert.equal(await other.waitMs('mx.far.test'), 0)
  for (const mostMs of [15_000, 60_000, 135_000]) {
    await one.failed('mx.far.test', 0)
    const waitMs = await other.waitMs('mx.far.test')
    assert.ok(waitMs > mostMs / 2 && waitMs <= mostMs, `${waitMs} of ${mostMs} ms`)
  }
  await other.failed('mx.far.test', 3_600_000)
  assert.ok((await one.waitMs('mx.far.test')) <= 135_000, 'that began before the last failure')
  assert.equal(await other.waitMs('mx.near.test'), 0)
})

test(
  'when its time is over one message of all processes tries, and what it finds holds for all',
  { skip },
  async () => {
    const [one, other] = both(short)
    await one.failed('mx.far.test', 0)
    await mayTry(one, 'mx.far.test')
    assert.ok((await other.waitMs('mx.far.test')) > 1_000, 'the others wait for it')
    await one.untried('mx.far.test')
    assert.equal(await other.waitMs('mx.far.test'), 0, 'it could not try: another does')
    await other.worked('mx.far.test')
    assert.deepEqual([await one.waitMs('mx.far.test'), await one.waitMs('mx.far.test')], [0, 0])
  },
)

test('while nothing is wrong nobody asks Redis about a host', { skip }, async () => {
  const [one] = both(hour, 60_000)
  await one.waitMs('mx.far.test')
  const [connection] = connections
  const before = await connection?.info('commandstats')
  for (let message = 0; message < 50; message++) {
    await one.waitMs(`mx${message}.far.test`)
    await one.worked(`mx${message}.far.test`)
  }
  const counted = (text = ''): string | undefined => /cmdstat_evalsha:calls=(\d+)/.exec(text)?.[1]
  assert.equal(counted(await connection?.info('commandstats')), counted(before))
})
