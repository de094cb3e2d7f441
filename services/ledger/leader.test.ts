import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Leases } from '../../shared/queue/leases.ts'
import { openLeader } from './leader.ts'

/** As Redis does it, by a clock of the test. */
function leasesBy(clock: { now(): number }): Leases {
  let held = { holder: '', until: 0 }
  return {
    hold: async (_name, holder, ttlMs) => {
      if (held.holder !== holder && held.until > clock.now()) return false
      held = { holder, until: clock.now() + ttlMs }
      return true
    },
    release: async (_name, holder) => {
      if (held.holder === holder) held = { holder: '', until: 0 }
    },
  }
}

test('one ledger leads; a minute after it fell silent, or at once when it ends, another one does', async () => {
  const clock = { at: 1_000_000, now: () => clock.at }
  const leases = leasesBy(clock)
  const [one, other] = [openLeader(leases, clock), openLeader(leases, clock)]
  for (let look = 0; look < 20; look += 1) {
    clock.at += 10_000
    assert.deepEqual([await one.leads(), await other.leads()], [true, false])
  }
  for (let look = 0; look < 5; look += 1) {
    clock.at += 10_000
    assert.equal(await other.leads(), false)
  }
  clock.at += 10_000
  assert.equal(await other.leads(), true)
  assert.equal(await one.leads(), false)
  await other.close()
  clock.at += 5_000
  assert.equal(await one.leads(), true)
})

test('a ledger that cannot ask does not lead, and says why', async () => {
  const away: Leases = {
    hold: async () => {
      throw new Error('Redis is away')
    },
    release: async () => {
      throw new Error('Redis is away')
    },
  }
  const leader = openLeader(away, { now: () => 0 })
  await assert.rejects(leader.leads(), /Redis is away/)
  await leader.close()
})
