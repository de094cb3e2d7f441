import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import type { MessageId } from '../mail/message-id.ts'
import { IdTable } from './id-table.ts'

test('every id finds its own slot again, whatever was added and removed before', () => {
  const id = fc.nat(300).map((number) => number.toString(36).padStart(18, 'z0m') as MessageId)
  const change = fc.record({ id, kind: fc.constantFrom('add', 'add', 'delete') })
  fc.assert(
    fc.property(fc.array(change, { maxLength: 2000, size: 'max' }), (changes) => {
      const table = new IdTable()
      const slots = new Map<MessageId, number>()
      for (const { id, kind } of changes) {
        if (kind === 'add') slots.set(id, table.add(id))
        else if (slots.delete(id)) table.delete(id)
      }
      assert.equal(table.size, slots.size)
      assert.equal(new Set(slots.values()).size, slots.size)
      for (const [id, slot] of slots) {
        assert.equal(table.find(id), slot)
        assert.equal(table.idOf(slot), id)
      }
      for (const { id } of changes) if (!slots.has(id)) assert.equal(table.find(id), undefined)
    }),
    { numRuns: 30 },
  )
})

test('tens of thousands of ids keep their slots while the table grows', () => {
  const table = new IdTable()
  const ids = Array.from(
    { length: 50_000 },
    (_, index) => `0mwpv5ij${(index * 7919).toString(36).padStart(10, '0')}` as MessageId,
  )
  const slots = ids.map((id) => table.add(id))
  assert.deepEqual(
    ids.map((id) => table.find(id)),
    slots,
  )
})
