import assert from 'node:assert/strict'
import { test } from 'node:test'

import { readShares } from './queue-shares.ts'
import type { SharedQueues } from './queue-shares.ts'

interface FakeJob {
  readonly queue: string
  readonly state: string
  readonly tags?: readonly string[]
  readonly destination?: string
  readonly lane?: string
  readonly held?: object
}

/** Queues `filter`, `relay` and `held` with these jobs in them. */
function queuesWith(jobs: readonly FakeJob[]) {
  const asked: string[][] = []
  const queues = {
    names: ['filter', 'relay', 'held'],
    list: async (queue: string, states: readonly string[], start: number, end: number) =>
      jobs
        .filter((job) => job.queue === queue && states.includes(job.state))
        .slice(start, end + 1)
        .map(({ queue: name, state, tags = [], ...more }) => ({
          queue: name,
          state,
          jobId: 'x',
          data: { at: { sizeBytes: 1 }, tags, ...more },
        })),
    lanes: {
      parked: async (names: readonly string[]) => {
        asked.push([...names])
        return 7
      },
    },
  }
  return { queues: queues as unknown as SharedQueues, asked }
}

test('a tag tells how many messages carry it, in all queues, and those without one are told too', async () => {
  const { queues } = queuesWith([
    { queue: 'filter', state: 'waiting' },
    { queue: 'relay', state: 'delayed', tags: ['Signed', 'Bulk'] },
    { queue: 'relay', state: 'active', tags: ['Signed'] },
    { queue: 'held', state: 'waiting', tags: ['Signed'], held: { queue: 'relay', reason: 'x', at: 1 } },
  ])
  const { tags, cut } = await readShares(queues, 10)
  assert.deepEqual(tags, [
    { tag: 'Signed', waiting: 0, active: 1, delayed: 1, held: 1 },
    { waiting: 1, active: 0, delayed: 0, held: 0 },
    { tag: 'Bulk', waiting: 0, active: 0, delayed: 1, held: 0 },
  ])
  assert.equal(cut, false)
})

test('what is parked is asked of the lanes of delayed messages, each once', async () => {
  const { queues, asked } = queuesWith([
    { queue: 'relay', state: 'delayed', destination: 'one.test', lane: 'mx.shared.test' },
    { queue: 'relay', state: 'delayed', destination: 'two.test', lane: 'mx.shared.test' },
    { queue: 'relay', state: 'delayed', destination: 'smtp://mx.three.test:25' },
    { queue: 'relay', state: 'waiting', destination: 'four.test' },
  ])
  const { parked } = await readShares(queues, 10)
  assert.deepEqual([...parked], [['relay', 7]])
  assert.deepEqual(asked, [
    ['relay mx.shared.test', 'back-off mx.shared.test', 'relay mx.three.test', 'back-off mx.three.test'],
  ])
})

test('when there are more messages than were looked at, that is told', async () => {
  const { queues } = queuesWith([1, 2, 3].map(() => ({ queue: 'filter', state: 'waiting' })))
  assert.equal((await readShares(queues, 2)).cut, true)
})
