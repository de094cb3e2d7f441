import assert from 'node:assert/strict'
import { test } from 'node:test'

import { newMessageId } from '../mail/message-id.ts'
import { keepTimeOf } from './kept-contents.ts'
import type { KeepLimits } from './kept-contents.ts'
import { LiveIndex } from './live-index.ts'
import { octets, outcome, storedMessage, temporarySpool, writer } from './test-support.ts'

const minuteMs = 60_000
const hourMs = 3_600_000

test('settled contents stay as long as it is said, and go oldest first when they take too much', async (t) => {
  const path = await temporarySpool(t)
  const startAt = Date.now()
  const times = [3 * hourMs, 2 * hourMs, hourMs]
  for (const agoMs of times) {
    const at = startAt - agoMs
    const spool = await writer(t, path, { streamThresholdBytes: 5_000 })
    const id = newMessageId(at)
    await spool.store(storedMessage(1, id), octets(4_000))
    await spool.settle([outcome(id, 0, 'delivered', at)])
    await spool.close()
  }
  const index = await LiveIndex.open(path)
  const keep = (limits: Omit<KeepLimits, 'leastMs'>, free = Number.MAX_SAFE_INTEGER): Promise<number> =>
    keepTimeOf(index, { leastMs: minuteMs, ...limits }, { at: startAt, freeBytes: async () => free })
  assert.equal(await keep({}), minuteMs)
  assert.equal(await keep({ keepMs: 24 * hourMs }), 24 * hourMs)
  assert.equal(await keep({ keepMs: 24 * hourMs, maxBytes: 9_500 }), 3 * hourMs)
  assert.equal(await keep({ keepMs: 24 * hourMs, maxBytes: 5_000 }), 2 * hourMs)
  assert.equal(await keep({ keepMs: 24 * hourMs, maxBytes: 1 }), hourMs)
  assert.equal(await keep({ keepMs: 24 * hourMs }, 0), 2 * hourMs)
  assert.equal(await keep({ keepMs: 30 * minuteMs, maxBytes: 1 }), 30 * minuteMs)

  await index.close()
})

test('a large content counts with its size', async (t) => {
  const path = await temporarySpool(t)
  const spool = await writer(t, path, { streamThresholdBytes: 5_000 })
  const message = storedMessage()
  await spool.store(message, octets(50_000))
  await spool.settle([outcome(message.envelope.id)])
  await spool.close()
  const index = await LiveIndex.open(path)
  const at = Date.now() + hourMs
  const keep = (maxBytes: number): Promise<number> =>
    keepTimeOf(
      index,
      { leastMs: minuteMs, keepMs: 24 * hourMs, maxBytes },
      { at, freeBytes: async () => Number.MAX_SAFE_INTEGER },
    )
  assert.equal(await keep(60_000), 24 * hourMs)
  assert.ok((await keep(40_000)) < 2 * hourMs)
  await index.close()
})
