import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'

import { silentLog } from '../log.ts'
import { openQueues } from './queues.ts'
import type { Queues } from './queues.ts'
import { redisMissing, startTestRedis } from './testing.ts'
import type { TestRedis } from './testing.ts'

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

test('one of many holds a lease, keeps it, and the next one has it when it is given back', { skip }, async () => {
  const { leases } = queues
  const holders = ['a', 'b', 'c']
  const tried = await Promise.all(holders.map((holder) => leases.hold('ledger', holder, 60_000)))
  assert.equal(tried.filter(Boolean).length, 1)
  const first = holders[tried.indexOf(true)] ?? ''
  const second = holders.find((one) => one !== first) ?? ''
  assert.equal(await leases.hold('ledger', first, 60_000), true)
  await leases.release('ledger', second)
  assert.equal(await leases.hold('ledger', second, 60_000), false)
  assert.equal(await leases.hold('other', second, 60_000), true)
  await leases.release('ledger', first)
  assert.equal(await leases.hold('ledger', second, 60_000), true)
})

test('a holder that fell silent loses it', { skip }, async () => {
  const { leases } = queues
  assert.equal(await leases.hold('ledger', 'dead', 1), true)
  let isOurs = false
  while (!isOurs) isOurs = await leases.hold('ledger', 'next', 60_000)
  assert.equal(await leases.hold('ledger', 'dead', 60_000), false)
})

test('what one process notes another reads', { skip }, async () => {
  const { notes } = queues
  assert.equal(await notes.read('digests'), undefined)
  await notes.write('digests', 'one')
  await notes.write('digests', 'two')
  assert.equal(await notes.read('digests'), 'two')
})
