import assert from 'node:assert/strict'
import { test } from 'node:test'

import { acceptedAtOf, derivedMessageId, isMessageId, newMessageId } from './message-id.ts'

test('ids sort by time of acceptance and tell it', () => {
  const times = [1_700_000_000_000, 1_700_000_000_001, 1_900_000_000_000]
  const ids = times.map((at) => newMessageId(at))
  assert.deepEqual(ids.toSorted(), ids)
  assert.deepEqual(
    ids.map((id) => acceptedAtOf(id)),
    times,
  )
  assert.ok(ids.every((id) => isMessageId(id)))
})

test('the same cause makes the same report id, another cause another', () => {
  const id = newMessageId(1_700_000_000_000)
  assert.equal(derivedMessageId(id, 'failed.0'), derivedMessageId(id, 'failed.0'))
  assert.notEqual(derivedMessageId(id, 'failed.0'), derivedMessageId(id, 'failed.1'))
  assert.ok(isMessageId(derivedMessageId(id, 'failed.0')))
})

test('a thousand ids of one millisecond differ', () => {
  assert.equal(new Set(Array.from({ length: 1000 }, () => newMessageId(1))).size, 1000)
})
