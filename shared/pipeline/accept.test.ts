import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Events } from '../events.ts'
import { silentLog } from '../log.ts'
import type { Mailbox } from '../mail/address.ts'
import type { Envelope } from '../mail/envelope.ts'
import { newMessageId } from '../mail/message-id.ts'
import { tag } from '../mail/tag.ts'
import type { Metrics } from '../metrics.ts'
import type { NewJob } from '../queue/job.ts'
import type { Queues } from '../queue/queues.ts'
import type { RuleReference } from '../routing/route.ts'
import type { IncomingContent, OutcomeRecord, Spool } from '../spool/spool.ts'
import { openPipeline } from './pipeline.ts'
import type { AcceptedFate } from './pipeline.ts'

const nowAt = 1_700_000_000_000
const rule = { file: 'smtpd.conf', line: 7, column: 1, text: 'match ...' } as unknown as RuleReference
const at = { segment: 'w/1.msg', offset: 0, recordBytes: 100, sizeBytes: 50, headerBytes: 20 }

/** What is done, in order: `commit`, outcomes, and once `close` has resolved the jobs. */
async function accept(fate?: AcceptedFate) {
  const done: string[] = []
  const outcomes: OutcomeRecord[] = []
  const jobs: NewJob[] = []
  const events: string[] = []
  const pipeline = openPipeline({
    configuration: { revision: 'r', pipeline: { replay: {} } } as never,
    route: async () => ({ kind: 'stage', queue: 'filter', tag: tag('Filtered'), action: 'scan', rule }),
    expand: async ({ recipients }) => recipients,
    readdress: async () => ({ kind: 'accepted', recipients: [] }),
    spool: {
      settle: async (records: readonly OutcomeRecord[]) => {
        done.push('settle')
        outcomes.push(...records)
      },
    } as unknown as Spool,
    queues: {
      tooFull: false,
      add: async (added: readonly NewJob[]) => {
        jobs.push(...added)
      },
    } as unknown as Queues,
    events: new Proxy({} as Events, { get: (_, name) => () => void events.push(String(name)) }),
    metrics: {
      acceptSeconds: { observe: () => undefined },
      waitingForQueue: { set: () => undefined },
    } as unknown as Metrics,
    log: silentLog(),
    clock: { now: () => nowAt },
  })
  const envelope: Envelope = {
    id: newMessageId(nowAt),
    reversePath: null,
    recipients: ['a@example.org', 'b@example.org'].map((mailbox) => ({ mailbox: mailbox as Mailbox })),
    tags: [],
    origin: { kind: 'local' },
    receivedAt: nowAt,
  }
  const content = {
    commit: async () => {
      done.push('commit')
      return at
    },
  } as unknown as IncomingContent
  await pipeline.accept(envelope, content, [], fate)
  done.push('accepted')
  await pipeline.close()
  return { done, outcomes, jobs, events }
}

test('a message that is held from the start is on disk as held before it is accepted, and waits for an operator', async () => {
  const { done, outcomes, jobs, events } = await accept({ kind: 'hold', reason: 'look' })
  assert.deepEqual(done, ['commit', 'settle', 'accepted'])
  assert.deepEqual(
    outcomes.map(({ recipient, kind, reason, stage }) => [recipient, kind, reason, stage]),
    [
      [0, 'held', 'look', 'accept'],
      [1, 'held', 'look', 'accept'],
    ],
  )
  assert.deepEqual(
    jobs.map(({ queue, data }) => [queue, data.rcpt, data.held]),
    [['held', [0, 1], { queue: 'filter', reason: 'look', at: nowAt, starts: 0, crashes: 0 }]],
  )
  assert.deepEqual(events, ['held'])
})

test('a message that is discarded from the start has its outcome on disk, and no job', async () => {
  const { done, outcomes, jobs, events } = await accept({ kind: 'discard', reason: 'junk' })
  assert.deepEqual(done, ['commit', 'settle', 'accepted'])
  assert.deepEqual(
    outcomes.map(({ kind, reason }) => [kind, reason]),
    [
      ['discarded', 'junk'],
      ['discarded', 'junk'],
    ],
  )
  assert.deepEqual([jobs, events], [[], ['discarded']])
})

test('any other message goes on its way', async () => {
  const { done, jobs, events } = await accept()
  assert.deepEqual(done, ['commit', 'accepted'])
  assert.deepEqual(
    jobs.map(({ queue }) => queue),
    ['filter'],
  )
  assert.deepEqual(events, ['routed'])
})
