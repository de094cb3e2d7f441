import assert from 'node:assert/strict'
import { test } from 'node:test'

import { newMessageId } from '../mail/message-id.ts'
import { RecentMessages } from './recent-messages.ts'
import type { Locator, StoredMessage } from './spool.ts'

const message: StoredMessage = {
  envelope: {
    id: newMessageId(1),
    reversePath: null,
    recipients: [],
    tags: [],
    origin: { kind: 'local' },
    receivedAt: 1,
  },
  edits: [],
  revision: 'r',
}

function locator(offset: number, sizeBytes: number): Locator {
  return { segment: 'w/1.msg', offset, recordBytes: sizeBytes + 100, sizeBytes, headerBytes: 2 }
}

test('what was stored last is read from memory, unchanged when the network buffer is used again', async () => {
  const recent = new RecentMessages(16_000)
  const buffer = Buffer.from('\r\nhello')
  recent.put(message, locator(0, 7), [buffer.subarray(0, 2), buffer.subarray(2)])
  buffer.fill('x')
  assert.equal((await recent.get(locator(0, 7))?.content())?.toString(), '\r\nhello')
  assert.equal((await recent.get(locator(0, 7))?.header())?.toString(), '\r\n')
})

test('another place, or another record at the same place, is not taken for it', () => {
  const recent = new RecentMessages(16_000)
  recent.put(message, locator(0, 7), [Buffer.alloc(7)])
  assert.equal(recent.get(locator(1, 7)), undefined)
  assert.equal(recent.get(locator(0, 8)), undefined)
})

test('memory is bounded: the oldest go, large ones never come in', () => {
  const recent = new RecentMessages(16_000)
  for (let index = 0; index < 40; index++) recent.put(message, locator(index, 1_000), [Buffer.alloc(1_000)])
  const kept = Array.from({ length: 40 }, (_, index) => recent.get(locator(index, 1_000)) !== undefined)
  assert.deepEqual(kept.indexOf(true), 24)
  assert.ok(kept.slice(24).every(Boolean))
  recent.put(message, locator(99, 1_001), [Buffer.alloc(1_001)])
  assert.equal(recent.get(locator(99, 1_001)), undefined)
})
