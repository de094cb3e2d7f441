import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Mailbox } from '../mail/address.ts'
import type { StageJob } from './job.ts'
import { SenderShares, lastPriority, orderOf } from './sender-shares.ts'
import { testJob } from './testing.ts'

function setUp() {
  const clock = { at: 1_000_000, now: () => clock.at }
  return { clock, shares: new SenderShares(clock) }
}

function jobOf(change: Partial<StageJob> = {}): StageJob {
  return testJob('relay', change).data
}

test('who sends much goes behind who sends little, further with each doubling', () => {
  const { shares } = setUp()
  const heavy = jobOf({ sender: 'newsletter' })
  const given = Array.from({ length: 5_000 }, () => shares.priorityOf('relay', heavy))
  assert.deepEqual([given[0], given[31], given[32], given[64], given[130], given[4_999]], [0, 0, 1, 2, 3, 8])
  assert.equal(shares.priorityOf('relay', jobOf({ sender: 'jane' })), 0)
  assert.equal(shares.priorityOf('filter', heavy), 0, 'each queue counts by itself')
})

test('what a sender sent is forgotten by half every ten minutes', () => {
  const { shares, clock } = setUp()
  for (let count = 0; count < 1_024; count++) shares.priorityOf('relay', jobOf())
  assert.equal(shares.priorityOf('relay', jobOf()), 6)
  clock.at += 600_000
  assert.equal(shares.priorityOf('relay', jobOf()), 5)
  clock.at += 3_600_000
  assert.equal(shares.priorityOf('relay', jobOf()), 0)
})

test('a sender is the user, else the domain of the reverse-path, else the client', () => {
  const heavy = (change: Partial<StageJob>, then: Partial<StageJob>): boolean => {
    const { shares } = setUp()
    for (let count = 0; count < 100; count++) shares.priorityOf('relay', jobOf(change))
    return shares.priorityOf('relay', jobOf(then)) > 0
  }
  const [ann, bob] = ['ann@example.org' as Mailbox, 'bob@example.org' as Mailbox]
  assert.ok(heavy({ from: ann }, { from: bob }), 'of one domain')
  assert.ok(heavy({ from: ann, sender: 'u' }, { from: 'x@y.test' as Mailbox, sender: 'u' }))
  assert.ok(!heavy({ from: ann, sender: 'u' }, { from: ann, sender: 'v' }))
  assert.ok(!heavy({ from: null, sender: '192.0.2.1' }, { from: null, sender: '192.0.2.2' }))
})

test('there is a last priority, and a flood of senders is not remembered for ever', () => {
  const { shares } = setUp()
  let last = 0
  for (let count = 0; count < 100_000; count++)
    last = shares.priorityOf('relay', jobOf({ sender: `u${count % 30_000}` }))
  assert.equal(last, 0)
  for (let count = 0; count < 4_000_000; count++) last = shares.priorityOf('relay', heavyJob)
  assert.equal(last, lastPriority)
})

const heavyJob = jobOf({ sender: 'flood' })

test('in a lane, too, a single message goes before the many, but not for ever', () => {
  const minute = 60_000
  assert.equal(orderOf(1_000, 0), 1_000)
  assert.ok(orderOf(0, 5) > orderOf(10 * minute, 0), 'one of thousands waits for one that came ten minutes later')
  assert.ok(orderOf(0, lastPriority) < orderOf(5 * 60 * minute, 0), 'not for what came five hours later')
})
