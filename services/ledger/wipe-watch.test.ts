import assert from 'node:assert/strict'
import { test } from 'node:test'

import { openWipeWatch } from './wipe-watch.ts'

/** What a Redis holds of it. */
interface Held {
  mark?: string | undefined
  leader?: string | undefined
}

let marks = 0

/** The ledger of one host. */
function ledger(held: Held, name: string) {
  let known: string | undefined
  const ensureEpoch = async (): Promise<string> => {
    marks += 1
    return (known = held.mark ??= `mark ${marks}`)
  }
  const requeued: string[] = []
  const look = openWipeWatch(
    {
      ensureEpoch,
      epoch: async () => held.mark,
      wiped: async () => held.mark === undefined || held.mark !== known,
    },
    { leads: async () => (held.leader ??= name) === name },
    async () => void requeued.push(held.mark ?? 'none'),
  )
  return { look, requeued }
}

function emptied(held: Held): void {
  held.mark = undefined
  held.leader = undefined
}

test('an emptied Redis, which forgets who led, is seen by whoever leads next, and by one alone', async () => {
  for (const first of [0, 1]) {
    const held: Held = { leader: 'one' }
    const both = [ledger(held, 'one'), ledger(held, 'other')] as const
    for (const { look } of both) await look()
    emptied(held)
    for (const place of [first, 1 - first, first, 1 - first]) await both[place]?.look()
    assert.deepEqual(both[first]?.requeued, ['none'])
    assert.deepEqual(both[1 - first]?.requeued, [])
    held.leader = undefined
    for (const place of [1 - first, first]) await both[place]?.look()
    assert.deepEqual(both[1 - first]?.requeued, [], 'what was done is not done again by who takes over')
  }
})

test('one that waits for the others leaves the mark alone, and a start meanwhile hides nothing', async () => {
  const held: Held = { leader: 'one' }
  const [one, other] = [ledger(held, 'one'), ledger(held, 'other')]
  for (const { look } of [one, other]) await look()
  emptied(held)
  held.leader = 'one'
  await other.look()
  assert.equal(held.mark, undefined)
  await ledger(held, 'third').look()
  await one.look()
  assert.equal(one.requeued.length, 1)
})
