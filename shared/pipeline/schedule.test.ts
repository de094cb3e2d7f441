import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { nextAttemptAt, retryBaseMs } from './schedule.ts'

test('a relay is tried again after 6m40, 26m40, 1h and 1h46m40', () => {
  const minutes = [1, 2, 3, 4].map((attempts) => {
    const nowAt = retryBaseMs('relay') * (attempts - 1) ** 2 + 1_000
    return nextAttemptAt({ receivedAt: 0, attempts, baseMs: retryBaseMs('relay'), nowAt, spread: 0.5 }) / 60_000
  })
  assert.deepEqual(
    minutes.map((one) => Math.round(one * 100) / 100),
    [6.67, 26.67, 60, 106.67],
  )
})

test('after a long outage the next attempt lies ahead, never in the past', () => {
  fc.assert(
    fc.property(
      fc.nat({ max: 40 }),
      fc.nat({ max: 10 * 86_400_000 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (attempts, ageMs, spread) => {
        const receivedAt = 1_700_000_000_000
        const nowAt = receivedAt + ageMs
        assert.ok(nextAttemptAt({ receivedAt, attempts, baseMs: 10_000, nowAt, spread }) >= nowAt)
      },
    ),
  )
})
