import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { RecipientSets } from './recipient-set.ts'

test('the recipients of a slot are those of a set, for short and long envelopes', () => {
  const change = fc.record({ recipient: fc.nat(70), kind: fc.constantFrom<'add' | 'delete'>('add', 'delete') })
  fc.assert(
    fc.property(fc.nat(5000), fc.integer({ min: 0, max: 70 }), fc.array(change), (slot, count, changes) => {
      const sets = new RecipientSets()
      const expected = new Set(Array.from({ length: count }, (_, index) => index))
      sets.fill(slot, count)
      for (const { recipient, kind } of changes) {
        sets[kind](slot, recipient)
        expected[kind](recipient)
      }
      assert.deepEqual(
        sets.list(slot),
        [...expected].sort((one, other) => one - other),
      )
      assert.equal(sets.isEmpty(slot), expected.size === 0)
      for (let recipient = 0; recipient < 71; recipient += 1) {
        assert.equal(sets.has(slot, recipient), expected.has(recipient))
      }
    }),
  )
})
