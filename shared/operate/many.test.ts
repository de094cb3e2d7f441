import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Mailbox } from '../mail/address.ts'
import { heldQueue } from '../queue/queues.ts'
import { redisMissing, testJob } from '../queue/testing.ts'
import { openTestSystem } from '../testing-system.ts'
import type { TestSystem } from '../testing-system.ts'
import { countMany, doToMany } from './many.ts'
import type { Selection } from './many.ts'

const skip = await redisMissing()
const far: Selection = { kind: 'destination', destination: 'example.net' }
const elsewhere = { to: ['jane@near.test' as Mailbox] }

/** Jobs of some pages to the destination, and some that go elsewhere. */
async function openWith(jobs: number): Promise<TestSystem> {
  const system = await openTestSystem({})
  await system.context.queues.add([
    ...Array.from({ length: jobs }, () => testJob('filter')),
    ...Array.from({ length: 20 }, () => testJob('filter', elsewhere)),
  ])
  return system
}

test(
  'all of a large selection have their turn once, and nothing else; it is told how far it is',
  { skip },
  async (t) => {
    const { context, close } = await openWith(600)
    t.after(close)
    const waiting = async (queue: string) => (await context.queues.counts()).get(queue)?.waiting
    const told: (readonly [number, number])[] = []
    const held = await doToMany(context, 'hold', far, 'joe', (...progress) => void told.push(progress))
    assert.deepEqual(held, { done: 600, left: 0 })
    assert.deepEqual(
      told,
      Array.from({ length: 600 }, (_, turn) => [turn + 1, 600]),
    )
    assert.deepEqual([await waiting('filter'), await waiting(heldQueue)], [20, 600])
    const counts = await countMany(context.queues, far)
    assert.deepEqual([counts.hold.jobs, counts.release.jobs, counts.remove.messages], [0, 600, 600])
    // Where they go they would be chosen again.
    assert.deepEqual(await doToMany(context, 'expire', far, 'joe'), { done: 600, left: 0 })
    assert.deepEqual(await doToMany(context, 'remove', far, 'joe'), { done: 600, left: 0 })
    assert.deepEqual([await waiting('filter'), await waiting(heldQueue)], [20, 0])
  },
)

test('what is gone before its turn is left, and where one fails no other begins', { skip }, async (t) => {
  const { context, close } = await openWith(600)
  t.after(close)
  const [first] = await context.queues.list('filter', ['waiting'], 0, 0)
  const job = t.mock.method(context.queues, 'job', async (queue: string, jobId: string) => {
    job.mock.restore()
    assert.equal(jobId, first?.jobId)
    assert.ok(await context.queues.remove(queue, jobId))
    return context.queues.job(queue, jobId)
  })
  assert.deepEqual(await doToMany(context, 'hold', far, 'joe'), { done: 599, left: 1 })
  const settle = t.mock.method(context.spool, 'settle', () => Promise.reject(new Error('disk full')))
  await assert.rejects(doToMany(context, 'release', far, 'joe'), /disk full/)
  assert.ok(settle.mock.callCount() <= 100, `${settle.mock.callCount()} began`)
  assert.equal((await countMany(context.queues, far)).release.jobs, 599)
})

test('a job whose time comes while the queues are gone through is not overlooked', { skip }, async (t) => {
  const { context, close } = await openTestSystem({})
  t.after(close)
  const { queues } = context
  const later = Array.from({ length: 5 }, () => ({ ...testJob('filter'), delayMs: 3_600_000 }))
  await queues.add(later)
  const look = queues.list.bind(queues)
  const list = t.mock.method(queues, 'list', async (...asked: Parameters<typeof look>) => {
    const page = await look(...asked)
    if (asked[0] !== 'filter' || !asked[1].includes('waiting')) return page
    list.mock.restore()
    for (const { jobId } of later) await queues.promote('filter', jobId)
    return page
  })
  assert.deepEqual(await doToMany(context, 'hold', far, 'joe'), { done: 5, left: 0 })
})
