import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { DestinationHistory } from '../destinations/known.ts'
import type { MessageId } from '../mail/message-id.ts'
import { destinationsOf, readDestinations, withHistory } from './destinations.ts'
import type { ReadableQueues } from './read-queues.ts'
import type { JobView } from './views.ts'

function job(destination: string | undefined, fields: Partial<JobView> = {}): JobView {
  return {
    queue: 'relay',
    jobId: 'x',
    id: '0mi8v2c4bm00000001' as MessageId,
    state: 'waiting',
    receivedAt: 1000,
    sizeBytes: 1,
    from: null,
    to: [],
    rcpt: [],
    tags: [],
    path: [],
    edits: [],
    attempts: 0,
    ...(destination === undefined ? {} : { destination }),
    ...fields,
  }
}

test('a destination tells how many wait for it, since when, and what it said to the one tried most', () => {
  const jobs = [
    job('slow.example', { state: 'delayed', attempts: 2, lastReply: '451 later', nextAt: 9000, receivedAt: 500 }),
    job('slow.example', { state: 'delayed', attempts: 5, lastReply: '421 too many connections', nextAt: 8000 }),
    job('slow.example', { state: 'active' }),
    job('fast.example'),
    job(undefined),
  ]
  assert.deepEqual(destinationsOf(jobs), [
    {
      name: 'slow.example',
      waiting: 0,
      active: 1,
      delayed: 2,
      oldestAt: 500,
      nextAt: 8000,
      lastReply: '421 too many connections',
      replyClass: 'rate-limit',
      attempts: 5,
    },
    { name: 'fast.example', waiting: 1, active: 0, delayed: 0, oldestAt: 1000, attempts: 0 },
  ])
})

test('a destination that is left alone tells how long, by its host', () => {
  const pauses = new Map([['mx.slow.example', 30_000]])
  const seen = destinationsOf([job('smtp://mx.slow.example:25'), job('fast.example')], pauses)
  assert.deepEqual(
    seen.map(({ name, aloneForMs }) => [name, aloneForMs]),
    [
      ['smtp://mx.slow.example:25', 30_000],
      ['fast.example', undefined],
    ],
  )
})

test('what waits for a turn and was never tried was refused by nobody', () => {
  const [seen] = destinationsOf([job('busy.example', { state: 'delayed', lastReply: '451 4.4.5 Not tried: busy' })])
  assert.equal(seen?.lastReply, '451 4.4.5 Not tried: busy')
  assert.equal(seen?.replyClass, undefined)
})

test('without a queue for what goes out there are no destinations, and Redis is not asked', async () => {
  const queues = { names: ['filter', 'held'] } as unknown as ReadableQueues
  assert.deepEqual(await readDestinations(queues, { book: new Map(), limit: 10 }), { destinations: [], cut: false })
})

test('domains in one lane are left alone together, and the lane is named where it is not the domain', () => {
  const jobs = [job('one.test', { lane: 'mx.shared.test' }), job('two.test', { lane: 'two.test' }), job('three.test')]
  const pauses = new Map([
    ['mx.shared.test', 5_000],
    ['two.test', 1_000],
    ['three.test', 2_000],
  ])
  assert.deepEqual(
    destinationsOf(jobs, pauses).map(({ name, lane, aloneForMs }) => [name, lane, aloneForMs]),
    [
      ['one.test', 'mx.shared.test', 5_000],
      ['two.test', undefined, 1_000],
      ['three.test', undefined, 2_000],
    ],
  )
})

test('where mail went in the last 24 hours stands behind where some waits, the latest first', () => {
  const history = (name: string, lastAt: number): DestinationHistory => ({
    name,
    hours: [
      { at: 0, sent: 2, later: 1, refused: 0 },
      { at: 3_600_000, sent: 5, later: 0, refused: 3 },
    ],
    refusals: [],
    lastAt,
  })
  const book = new Map(['old.test', 'smart.test', 'new.test'].map((name, index) => [name, history(name, index)]))
  const seen = withHistory(destinationsOf([job('smtp://smart.test:2525')]), book, new Map([['new.test', 9_000]]))
  assert.deepEqual(
    seen.map(({ name, waiting, delayed, day, aloneForMs }) => [name, waiting + delayed, day, aloneForMs]),
    [
      ['smtp://smart.test:2525', 1, { sent: 7, later: 1, refused: 3 }, undefined],
      ['new.test', 0, { sent: 7, later: 1, refused: 3 }, 9_000],
      ['old.test', 0, { sent: 7, later: 1, refused: 3 }, undefined],
    ],
  )
})
