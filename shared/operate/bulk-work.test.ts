import assert from 'node:assert/strict'
import { test } from 'node:test'

import { heldQueue } from '../queue/queues.ts'
import { redisMissing, testJob } from '../queue/testing.ts'
import { openTestSystem } from '../testing-system.ts'
import type { BulkMessage, BulkOrder } from './bulk-order.ts'
import { createBulkWork } from './bulk-work.ts'
import { OperationError } from './operation-error.ts'

const skip = await redisMissing()
const order = (fields: Partial<BulkOrder>): BulkOrder => ({ action: 'hold', query: '', asOf: 0, ...fields })

test('an order is carried out on the jobs of the copies that are meant, and on no other', { skip }, async (t) => {
  const { context, close, dataFolder } = await openTestSystem({})
  t.after(close)
  const { queues } = context
  const [meant, other, elsewhere] = [testJob('filter'), testJob('filter'), testJob('filter', { rcpt: [1] })]
  await queues.add([meant, other, elsewhere])
  const messages: BulkMessage[] = [meant, elsewhere].map(({ data }) => ({ id: data.id, copies: new Set([0]) }))
  const work = createBulkWork({
    ...context,
    dataFolder,
    messages: { find: async () => undefined, outcomesOf: async () => [], story: async () => [] },
    lessons: { learn: async () => 'learned' },
    delimiter: () => '+',
  })
  const doAll = async (fields: Partial<BulkOrder>) => (await work.prepare(order(fields), messages, 'joe'))(messages)
  const waiting = async () => {
    const counts = await queues.counts()
    return ['filter', heldQueue].map((name) => counts.get(name)?.waiting)
  }
  assert.deepEqual(await doAll({}), { done: 1, left: 0 })
  assert.deepEqual(await waiting(), [2, 1])
  assert.deepEqual(await doAll({}), { done: 0, left: 0 })
  assert.deepEqual(await doAll({ action: 'release' }), { done: 1, left: 0 })
  assert.deepEqual(await waiting(), [3, 0])

  await queues.change('filter', meant.jobId, (data) => ({
    ...data,
    held: { queue: 'filter', reason: 'spam', at: 0, starts: 0, crashes: 0, quarantine: 'spam' },
  }))
  assert.deepEqual(await doAll({ action: 'remove' }), { done: 0, left: 0 })
  assert.deepEqual(await doAll({ action: 'remove', quarantined: true }), { done: 1, left: 0 })
  assert.deepEqual(await waiting(), [2, 0])

  const replayed = await doAll({ action: 'replay' })
  assert.deepEqual([replayed.done, replayed.left], [0, 2])
  assert.match(replayed.why ?? '', /is not in the spool any more/)
  await assert.rejects(work.check(order({ action: 'reroute', way: {} })), OperationError)
  await work.check(order({ action: 'reroute', way: { to: 'mx.test' } }))
  for (const copyTo of ['', 'lab', 'a@b, c@d'])
    await assert.rejects(work.check(order({ action: 'replay', copyTo })), /is not an address/)
})
