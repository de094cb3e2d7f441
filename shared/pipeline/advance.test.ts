import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Configuration } from '../config/model.ts'
import type { Events } from '../events.ts'
import type { Mailbox, ReversePath } from '../mail/address.ts'
import { discard, hold, pass, postpone, quarantine, reject, settled } from '../mail/disposition.ts'
import type { Disposition } from '../mail/disposition.ts'
import { newMessageId } from '../mail/message-id.ts'
import type { Reply } from '../mail/reply.ts'
import { tag } from '../mail/tag.ts'
import type { NewJob, StageJob } from '../queue/job.ts'
import type { OutcomeRecord, SpooledMessage } from '../spool/spool.ts'
import { advance, planAnew } from './advance.ts'
import type { AdvanceParts, Step } from './advance.ts'
import type { StageMessage } from './stage.ts'

const receivedAt = 1_700_000_000_000
const hour = 3_600_000

/** Everything `advance` does to the outside, in the order it does it. */
function bench(nowAt = receivedAt + 1_000) {
  const done: string[] = []
  const outcomes: OutcomeRecord[] = []
  const added: NewJob[] = []
  const told: string[] = []
  const events = new Proxy({}, { get: (_target, name) => () => void told.push(String(name)) }) as Events
  const parts: AdvanceParts = {
    configuration: {
      queueTtlMs: 96 * hour,
      bounceWarnMs: [4 * hour],
      actions: new Map(),
      pipeline: { replay: {} },
    } as unknown as Configuration,
    route: async () =>
      ({ kind: 'local', action: 'mailbox', rule: { file: 'f', line: 1, column: 1, text: '' } }) as never,
    spool: {
      settle: async (records) => {
        done.push('settle')
        outcomes.push(...records)
      },
    },
    queues: {
      add: async (jobs) => {
        done.push('add')
        added.push(...jobs)
      },
    },
    reporter: {
      reportSuccess: async (_message, attempts) => void (attempts.length > 0 && done.push('report success')),
      reportFailure: async (_message, attempts) => void (attempts.length > 0 && done.push('report failure')),
      reportExpanded: async () => undefined,
      reportDelay: async () => void done.push('report delay'),
    },
    events,
    clock: { now: () => nowAt },
    spread: () => 0.5,
  }
  return { parts, done, outcomes, added, told }
}

function step(
  queue: string,
  count: number,
  changes: Partial<StageJob> = {},
  reversePath: ReversePath = 'a@b.test' as Mailbox,
): Step {
  const id = newMessageId(receivedAt)
  const to = Array.from({ length: count }, (_, index) => `r${index}@example.org` as Mailbox)
  const at = { segment: 's', offset: 0, recordBytes: 9, sizeBytes: 5, headerBytes: 2 }
  const rcpt = to.map((_, index) => index)
  const job: StageJob = {
    v: 1,
    id,
    at,
    from: reversePath,
    rcpt,
    to,
    tags: [],
    edits: [],
    receivedAt,
    path: [],
    attempts: 0,
    ...changes,
  }
  const envelope = {
    id,
    reversePath,
    recipients: to.map((mailbox) => ({ mailbox })),
    tags: [],
    origin: { kind: 'local' as const },
    receivedAt,
  }
  const message: StageMessage = {
    envelope,
    pending: job.rcpt,
    edits: [],
    sizeBytes: 5,
    stored: {} as SpooledMessage,
    attempts: job.attempts,
  }
  return { queue, job, message, tookMs: 1 }
}

function answer(...codes: readonly number[]): Disposition {
  return settled(codes.map((code, recipient) => ({ recipient, reply: reply(code), reached: 'local' as const })))
}

function reply(code: number): Reply {
  return { code, text: 'as scripted' }
}

test('the next job is added before the tag shows anywhere', async () => {
  const { parts, added, done } = bench()
  const result = await advance(
    parts,
    step('filter', 2),
    pass(tag('Filtered'), [{ kind: 'prepend', fields: 'X: y\r\n' }]),
  )
  assert.deepEqual(result, { kind: 'done' })
  assert.deepEqual(done, ['add'])
  assert.deepEqual(
    added.map((job) => [job.queue, job.data.tags, job.data.path, job.data.edits.length]),
    [['deliver', ['Filtered'], ['filter'], 1]],
  )
})

test('the tags a stage adds beside its own are on the message from there on', async () => {
  const { parts, added } = bench()
  await advance(parts, step('reports', 1), pass(tag('Reports'), [], [tag('Unparsed'), tag('reports')]))
  assert.deepEqual(
    added.map((job) => job.data.tags),
    [['Reports', 'Unparsed']],
  )
})

test('each recipient ends in its own outcome: delivered, again later, failed', async () => {
  const { parts, outcomes, done } = bench()
  const result = await advance(parts, step('deliver', 3), answer(250, 452, 550))
  assert.deepEqual(
    outcomes.map((one) => [one.recipient, one.kind]),
    [
      [0, 'delivered'],
      [2, 'failed'],
    ],
  )
  assert.ok(result.kind === 'later')
  assert.deepEqual(result.data.rcpt, [1])
  assert.deepEqual(result.data.to, ['r1@example.org'])
  assert.equal(result.data.attempts, 1)
  assert.deepEqual(
    done,
    ['report success', 'report failure', 'settle'],
    'the report is on disk before the outcome that ends the recipient',
  )
})

test('a recipient the stage said nothing about is tried again, never forgotten', async () => {
  const { parts } = bench()
  const result = await advance(parts, step('relay', 2), answer(250))
  assert.ok(result.kind === 'later')
  assert.deepEqual(result.data.rcpt, [1])
})

test('mail that is too old fails with 5.4.7 and the last reply', async () => {
  const { parts, outcomes, done, told } = bench(receivedAt + 97 * hour)
  const result = await advance(parts, step('relay', 1, { attempts: 20 }), answer(451))
  assert.deepEqual(result, { kind: 'done' })
  assert.equal(outcomes[0]?.kind, 'failed')
  assert.equal(outcomes[0]?.reply?.enhanced, '5.4.7')
  assert.match(outcomes[0]?.reply?.text ?? '', /451 as scripted/)
  assert.deepEqual(done, ['report failure', 'settle'])
  assert.deepEqual(told, ['expired'])
})

test('the sender is warned once when the next attempt lies beyond the warn interval', async () => {
  const late = receivedAt + 3.9 * hour
  const first = bench(late)
  const result = await advance(first.parts, step('relay', 1, { attempts: 6 }), answer(451))
  assert.ok(result.kind === 'later')
  assert.equal(result.data.warned, 1)
  assert.deepEqual(first.done, ['report delay'])
  const second = bench(late + hour)
  await advance(second.parts, step('relay', 1, { attempts: 7, warned: 1 }), answer(451))
  assert.deepEqual(second.done, [])
})

test('a stage that refuses for good fails every recipient; for now, all are kept', async () => {
  const permanent = bench()
  await advance(permanent.parts, step('filter', 2), reject(reply(554)))
  assert.deepEqual(
    permanent.outcomes.map((one) => one.kind),
    ['failed', 'failed'],
  )
  const temporary = bench()
  const result = await advance(temporary.parts, step('filter', 2), reject(reply(451)))
  assert.ok(result.kind === 'later')
  assert.deepEqual(result.data.rcpt, [0, 1])
  assert.deepEqual(temporary.outcomes, [])
})

test('held mail is parked with its reason and logged as held before the job goes', async () => {
  const { parts, outcomes } = bench()
  const result = await advance(parts, step('filter', 1), hold('virus'))
  assert.ok(result.kind === 'park' && result.reason === 'virus')
  assert.deepEqual(
    outcomes.map((one) => [one.kind, one.reason]),
    [['held', 'virus']],
  )
})

test('mail in quarantine is known as such in the log and among the held jobs', async () => {
  const { parts, outcomes } = bench()
  const result = await advance(parts, step('filter', 1), quarantine('virus', 'virus: X'))
  assert.deepEqual(result.kind === 'park' && [result.reason, result.quarantine], ['virus: X', 'virus'])
  assert.deepEqual(
    outcomes.map((one) => [one.kind, one.reason, one.quarantine]),
    [['held', 'virus: X', 'virus']],
  )
})

test('discarded mail is an outcome with a reason, not a silent loss', async () => {
  const { parts, outcomes } = bench()
  assert.deepEqual(await advance(parts, step('filter', 1), discard('score 20')), { kind: 'done' })
  assert.deepEqual(
    outcomes.map((one) => [one.kind, one.reason]),
    [['discarded', 'score 20']],
  )
})

test('a message whose action is gone goes where the rules send it now, as often as they change', async () => {
  const { parts, added, told } = bench()
  const gone = step('relay', 2, { action: 'out', destination: 'example.org', attempts: 3, warned: 1 })
  const instead = (jobId: string) => planAnew(parts, gone, { jobId, reason: 'gone' })
  assert.deepEqual(await instead('first'), { kind: 'done' })
  await instead('first')
  await instead('second')
  assert.deepEqual(
    added.map(({ queue, data }) => [queue, data.action, data.rcpt, data.attempts, data.warned, data.recheck]),
    Array.from({ length: 3 }, () => ['deliver', 'mailbox', [0, 1], 0, 1, true]),
  )
  const ids = added.map((job) => job.jobId)
  assert.equal(ids[0], ids[1], 'done twice adds nothing twice')
  assert.notEqual(ids[0], ids[2], 'a finished job of that id is not added again')
  assert.deepEqual(told.slice(0, 2), ['requeued', 'routed'])
})

test('who waits for a destination that is left alone is warned of the delay, once', async () => {
  const early = bench(receivedAt + 3 * hour)
  const waits = await advance(early.parts, step('relay', 1), postpone(2 * hour, 'left alone'))
  assert.ok(waits.kind === 'later' && waits.data.warned === undefined)
  assert.deepEqual(early.done, [])
  const late = bench(receivedAt + 5 * hour)
  const warned = await advance(late.parts, step('relay', 1), postpone(5_000, 'left alone'))
  assert.ok(warned.kind === 'later' && warned.data.warned === 1)
  assert.deepEqual(late.done, ['report delay'])
  const again = bench(receivedAt + 6 * hour)
  await advance(again.parts, step('relay', 1, { warned: 1 }), postpone(5_000, 'left alone'))
  assert.deepEqual(again.done, [])
})

test('however long a message is put off, it comes back to warn its sender of the delay, and when its time is over', async () => {
  const delays: number[] = []
  for (const [hours, warned] of [
    [3, 0],
    [5, 1],
    [95, 1],
  ] as const) {
    const result = await advance(
      bench(receivedAt + hours * hour).parts,
      step('relay', 1, { warned }),
      postpone(200 * hour, 'left alone'),
    )
    delays.push(result.kind === 'later' ? result.delayMs : -1)
  }
  assert.deepEqual(delays, [hour + 1, 91 * hour, hour])
})

test('what is postponed keeps its place on the schedule, and its time to live', async () => {
  const { parts, outcomes } = bench()
  const lane = { destination: 'relay far.test', limit: 2 }
  const waiting = await advance(parts, step('relay', 1, { attempts: 3 }), postpone(5_000, 'full', lane))
  assert.ok(waiting.kind === 'later')
  assert.deepEqual([waiting.delayMs, waiting.data.attempts, waiting.lane], [5_000, 3, lane])
  assert.equal(waiting.data.lastReply, '451 4.4.5 Not tried: full')
  const tried = step('relay', 1, { attempts: 1, lastReply: '450 later' })
  const again = await advance(parts, tried, postpone(5_000, 'full'))
  assert.equal(again.kind === 'later' && again.data.lastReply, '450 later')
  assert.deepEqual(outcomes, [])

  const late = bench(receivedAt + 97 * hour)
  assert.deepEqual(await advance(late.parts, step('relay', 1), postpone(5_000, 'full')), { kind: 'done' })
  assert.deepEqual(late.told, ['expired'])
})
