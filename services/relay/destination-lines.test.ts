import assert from 'node:assert/strict'
import { test } from 'node:test'

import { DestinationLines } from './destination-lines.ts'
import type { Turn } from './destination-lines.ts'

function setUp() {
  const clock = { at: 1_000_000, now: () => clock.at }
  return { clock, lines: new DestinationLines(clock) }
}

function leave(turn: Turn | undefined): void {
  assert.ok(turn?.kind === 'turn')
  turn.leave()
}

test('a backlog for one destination leaves workers for the others', () => {
  const { lines } = setUp()
  const turns = Array.from({ length: 5 }, () => lines.enter('slow.org', 2))
  assert.deepEqual(
    turns.map(({ kind }) => kind),
    ['turn', 'turn', 'wait', 'wait', 'wait'],
  )
  assert.equal(lines.enter('other.org', 2).kind, 'turn')
  leave(turns[0])
  assert.equal(lines.enter('slow.org', 2).kind, 'turn')
})

test('those sent away come back one after the other, as fast as the destination answers', () => {
  const { clock, lines } = setUp()
  const turns = [lines.enter('slow.org', 2), lines.enter('slow.org', 2)]
  clock.at += 10_000
  leave(turns[0])
  assert.equal(lines.enter('slow.org', 2).kind, 'turn')
  const waits = Array.from({ length: 20 }, () => lines.enter('slow.org', 2)).map((turn) =>
    turn.kind === 'wait' ? turn.waitMs : 0,
  )
  assert.deepEqual(waits.slice(0, 3), [5_250, 10_250, 15_250])
  assert.equal(waits.at(-1), 100_250)
})

test('a destination that answers at once gets as many workers as there are', () => {
  const { clock, lines } = setUp()
  const first = lines.enter('fast.org', 2)
  clock.at += 20
  leave(first)
  const turns = Array.from({ length: 10 }, () => lines.enter('fast.org', 2))
  assert.ok(turns.every(({ kind }) => kind === 'turn'))
  // Until it falls silent.
  clock.at += 1_000
  assert.equal(lines.enter('fast.org', 2).kind, 'wait')
})

test('those far behind come back spread out, should nobody bring them back', () => {
  const { clock, lines } = setUp()
  const turns = [lines.enter('slow.org', 2), lines.enter('slow.org', 2)]
  clock.at += 10_000
  leave(turns[0])
  lines.enter('slow.org', 2)
  const waits = Array.from({ length: 1_000 }, () => lines.enter('slow.org', 2)).flatMap((turn) =>
    turn.kind === 'wait' ? turn.waitMs : [],
  )
  const far = waits.slice(200)
  assert.ok(far.every((waitMs) => waitMs >= 600_000 && waitMs <= 600_000 + 2 * 3_600_000))
  assert.ok(Math.max(...far) - Math.min(...far) > 3_600_000)
})
