import assert from 'node:assert/strict'
import { test } from 'node:test'

import { HostPenalties, SharedPenalties } from './host-penalties.ts'
import { stageContext } from './testing.ts'

function setUp() {
  const clock = { at: 1_000_000, now: () => clock.at }
  return { clock, penalties: new HostPenalties(clock) }
}

test('a host that fails again and again is left alone for longer and longer, at most an hour', () => {
  const { clock, penalties } = setUp()
  const waits: number[] = []
  for (let count = 0; count < 17; count++) {
    assert.equal(penalties.waitMs('a'), 0)
    clock.at += 1
    penalties.failed('a', clock.at)
    const waitMs = penalties.waitMs('a')
    waits.push(waitMs / 1000)
    clock.at += waitMs
  }
  assert.deepEqual([...waits.slice(0, 4), ...waits.slice(-3)], [15, 60, 135, 240, 3375, 3600, 3600])
})

test('attempts that were under way together count as one failure', () => {
  const { clock, penalties } = setUp()
  const startedAt = clock.at
  clock.at += 1
  for (let count = 0; count < 20; count++) penalties.failed('a', startedAt)
  assert.equal(penalties.waitMs('a'), 15_000)
})

test('when the penalty is over one message tries, and the others wait for what it finds', () => {
  const { clock, penalties } = setUp()
  penalties.failed('a', clock.at)
  clock.at += 15_000
  assert.equal(penalties.waitMs('a'), 0)
  assert.equal(penalties.waitMs('a'), 60_000)
  penalties.worked('a')
  assert.deepEqual([penalties.waitMs('a'), penalties.waitMs('a')], [0, 0])
})

test('a success takes one failure away', () => {
  const { clock, penalties } = setUp()
  for (let count = 0; count < 3; count++) {
    penalties.failed('a', clock.at)
    clock.at += 1_000_000
  }
  penalties.worked('a')
  clock.at += 1
  penalties.failed('a', clock.at)
  assert.equal(penalties.waitMs('a'), 135_000)
})

test('who could not try leaves the try to the next one', () => {
  const { clock, penalties } = setUp()
  penalties.failed('a', clock.at)
  clock.at += 15_000
  assert.equal(penalties.waitMs('a'), 0)
  penalties.untried('a')
  assert.equal(penalties.waitMs('a'), 0)
})

test('while Redis is away a process knows by itself which hosts failed', async () => {
  const clock = { at: 1_000_000, now: () => clock.at }
  const { queues } = stageContext({})
  const penalties = new SharedPenalties(clock, queues.penalties)
  await penalties.failed('a', clock.at)
  assert.deepEqual([await penalties.waitMs('a'), await penalties.waitMs('b')], [15_000, 0])
  await penalties.worked('a')
  assert.equal(await penalties.waitMs('a'), 0)
})
