import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Events } from '../events.ts'
import { silentLog } from '../log.ts'
import { newMessageId } from '../mail/message-id.ts'
import type { LiveMessage, SpooledMessage } from '../spool/spool.ts'
import { sweep } from './sweep.ts'
import type { SweepParts } from './sweep.ts'

const nowAt = 1_700_000_100_000
const locator = { segment: 'w/1.msg', offset: 0, recordBytes: 9, sizeBytes: 5, headerBytes: 2 }

function live(changes: Partial<LiveMessage> = {}): LiveMessage {
  const receivedAt = changes.receivedAt ?? nowAt - 60_000
  return { id: newMessageId(receivedAt), locator, receivedAt, pending: [0, 1], held: [], ...changes }
}

/** `jobs`: ids the queues know, for each look at them. */
function bench(messages: readonly LiveMessage[], jobs: readonly (readonly string[])[] = [[]]) {
  const requeued: [string, readonly number[]][] = []
  const reheld: [string, readonly number[]][] = []
  let looks = 0
  const byId = new Map(messages.map((one) => [one.id, one]))
  const parts = {
    index: {
      size: messages.length,
      refresh: async () => {},
      entries: () => messages,
      get: (id: LiveMessage['id']) => byId.get(id),
    },
    queues: {
      messagesWithJobs: async () => new Set(jobs[Math.min(looks++, jobs.length - 1)]),
      ensureEpoch: async () => 'epoch',
    },
    spool: { read: async () => ({ locator }) as SpooledMessage },
    pipeline: {
      requeue: async (_stored: SpooledMessage, pending: readonly number[]) => void requeued.push(['job', pending]),
      rehold: async (_stored: SpooledMessage, held: readonly number[]) => void reheld.push(['held', held]),
    },
    events: { requeued: () => {} } as unknown as Events,
    clock: { now: () => nowAt },
    log: silentLog(),
  } as unknown as SweepParts
  return { parts, requeued, reheld }
}

test('a message on disk without a job gets one: a crash between disk and queue loses nothing', async () => {
  const { parts, requeued } = bench([live()])
  const result = await sweep(parts, { minAgeMs: 15_000, reason: 'no job' })
  assert.deepEqual(result, { live: 1, requeued: 1, failed: 0 })
  assert.deepEqual(requeued, [['job', [0, 1]]])
})

test('a message with a job, or one just accepted, is left alone', async () => {
  const known = live()
  const { parts, requeued } = bench([known, live({ receivedAt: nowAt - 1_000 })], [[known.id]])
  await sweep(parts, { minAgeMs: 15_000, reason: 'no job' })
  assert.deepEqual(requeued, [])
})

test('a message that moved between two queues while they were listed is not queued twice', async () => {
  const moving = live()
  const { parts, requeued } = bench([moving], [[], [moving.id]])
  await sweep(parts, { minAgeMs: 0, reason: 'redis was emptied' })
  assert.deepEqual(requeued, [])
})

test('what was held stays held when the queues are rebuilt', async () => {
  const { parts, requeued, reheld } = bench([live({ held: [1] })])
  await sweep(parts, { minAgeMs: 0, reason: 'redis was emptied' })
  assert.deepEqual(requeued, [['job', [0]]])
  assert.deepEqual(reheld, [['held', [1]]])
})

test('a message that cannot be read stays on disk and does not stop the others', async () => {
  const { parts, requeued } = bench([live(), live()])
  let reads = 0
  Object.assign(parts.spool, {
    read: async () => {
      reads += 1
      if (reads === 1) throw new Error('damaged')
      return { locator } as SpooledMessage
    },
  })
  const result = await sweep(parts, { minAgeMs: 0, reason: 'rebuild' })
  assert.deepEqual(result, { live: 2, requeued: 1, failed: 1 })
  assert.equal(requeued.length, 1)
})
