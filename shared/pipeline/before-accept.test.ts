import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Events } from '../events.ts'
import { silentLog } from '../log.ts'
import type { Mailbox } from '../mail/address.ts'
import { discard, pass, postpone, quarantine, reject } from '../mail/disposition.ts'
import type { Disposition } from '../mail/disposition.ts'
import type { Envelope } from '../mail/envelope.ts'
import { newMessageId } from '../mail/message-id.ts'
import { replies } from '../mail/reply.ts'
import { tag } from '../mail/tag.ts'
import type { Metrics } from '../metrics.ts'
import { QueueUnavailableError } from '../queue/queues.ts'
import type { Answer, JobHandler, Queues } from '../queue/queues.ts'
import type { NewJob, StageJob } from '../queue/job.ts'
import type { RuleReference } from '../routing/route.ts'
import type { ServiceContext } from '../service.ts'
import { SpoolFullError, SpoolReadError } from '../spool/spool.ts'
import type { IncomingContent, OutcomeRecord, SpooledMessage, Spool } from '../spool/spool.ts'
import { openPipeline } from './pipeline.ts'
import type { Router } from './router.ts'
import { runStage } from './run-stage.ts'
import type { HandleMessage, StageMessage } from './stage.ts'

const nowAt = 1_700_000_000_000
const rule = { file: 'smtpd.conf', line: 7, column: 1, text: 'match ...' } as unknown as RuleReference
const draftAt = { segment: 'w/1.draft', offset: 0, recordBytes: 100, sizeBytes: 50, headerBytes: 20 }
const at = { segment: 'w/1.msg', offset: 400, recordBytes: 100, sizeBytes: 50, headerBytes: 20 }
const filtered = pass(tag('Filtered'), [{ kind: 'prepend', fields: 'X-Spam: No\r\n' }])

interface World {
  readonly answer?: Answer
  readonly route?: Router
  readonly envelope?: Partial<Envelope>
  readonly draft?: () => Promise<typeof draftAt>
  /** Redis is away once the message is accepted. */
  readonly away?: boolean
}

const filterThenDeliver: Router = async (_, __, hops) =>
  hops === 0
    ? { kind: 'stage', queue: 'filter', tag: tag('Filtered'), action: 'scan', rule }
    : ({ kind: 'local', action: 'maildir', rule } as unknown as Awaited<ReturnType<Router>>)

/** A message that is asked about and, unless it is refused, accepted. */
async function receive(world: World = {}) {
  const [asked, jobs, outcomes, events] = [[] as NewJob[], [] as NewJob[], [] as OutcomeRecord[], [] as string[]]
  const observed: string[] = []
  let isAway = false
  const envelope: Envelope = {
    id: newMessageId(nowAt),
    reversePath: 'a@example.net' as Mailbox,
    recipients: ['a@example.org', 'b@example.org'].map((mailbox) => ({ mailbox: mailbox as Mailbox })),
    tags: [],
    origin: { kind: 'smtp' },
    receivedAt: nowAt,
    ...world.envelope,
  }
  const pipeline = openPipeline({
    configuration: {
      revision: 'r',
      actions: new Map(),
      queueTtlMs: 1_000_000,
      bounceWarnMs: [],
      pipeline: { notices: { admins: [] }, replay: {} },
    } as never,
    route: world.route ?? filterThenDeliver,
    expand: async ({ recipients }) => recipients,
    readdress: async () => ({ kind: 'accepted', recipients: [] }),
    spool: {
      read: async () => ({ envelope }) as SpooledMessage,
      settle: async (records: readonly OutcomeRecord[]) => void outcomes.push(...records),
    } as unknown as Spool,
    queues: {
      tooFull: false,
      add: async (added: readonly NewJob[]) => {
        if (isAway) {
          isAway = false
          throw new QueueUnavailableError('Redis is away')
        }
        jobs.push(...added)
      },
      questions: {
        ask: async (job: NewJob) => {
          asked.push(job)
          return world.answer ?? { kind: 'decided', disposition: filtered }
        },
      },
    } as unknown as Queues,
    events: new Proxy({} as Events, { get: (_, name) => () => void events.push(String(name)) }),
    metrics: {
      acceptSeconds: { observe: () => undefined },
      waitingForQueue: { set: () => undefined },
      beforeAcceptSeconds: { observe: ({ decision }: { decision: string }) => void observed.push(decision) },
    } as unknown as Metrics,
    log: silentLog(),
    clock: { now: () => nowAt },
  })
  const content = { draft: world.draft ?? (async () => draftAt), commit: async () => at } as unknown as IncomingContent
  const asking = { untilAt: nowAt + 8_000, signal: new AbortController().signal }
  const decision = await pipeline.decide({ envelope, content, edits: [] }, asking)
  if (decision?.disposition.kind !== 'reject') {
    isAway = world.away === true
    await pipeline.accept(envelope, content, [], decision)
  }
  await pipeline.close()
  return { asked, jobs, outcomes, events, decision, observed, id: envelope.id }
}

test('what the filter passed while the client waited goes on behind the filter, which has it once', async () => {
  const { asked, jobs, events, observed, id } = await receive()
  assert.deepEqual(
    asked.map(({ queue, jobId, data }) => [queue, jobId, data.at, data.rcpt]),
    [['filter', `${id}.filter.question`, draftAt, [0, 1]]],
  )
  assert.deepEqual(
    jobs.map(({ queue, data }) => [queue, data.at, data.tags, data.edits, data.path, data.question]),
    [['deliver', at, ['Filtered'], filtered.kind === 'pass' ? filtered.edits : [], ['filter'], undefined]],
  )
  assert.deepEqual(events, ['judged', 'routed', 'passed', 'routed'])
  assert.deepEqual(observed, ['pass'])
})

test('what the filter refused has a permanent reply, and nothing of it is queued', async () => {
  const reply = { code: 550, enhanced: '5.7.1', text: 'Message content rejected' }
  const { decision, jobs, outcomes, observed } = await receive({
    answer: { kind: 'decided', disposition: reject(reply) },
  })
  assert.deepEqual(decision?.disposition, reject(reply))
  assert.deepEqual([jobs, outcomes, observed], [[], [], ['reject']])
})

test('what the filter keeps back is accepted, held in the log, and waits for an operator', async () => {
  const { jobs, outcomes } = await receive({
    answer: { kind: 'decided', disposition: quarantine('virus', 'Eicar-Signature') },
  })
  assert.deepEqual(
    outcomes.map(({ recipient, kind, quarantine: why, stage }) => [recipient, kind, why, stage]),
    [
      [0, 'held', 'virus', 'filter'],
      [1, 'held', 'virus', 'filter'],
    ],
  )
  const held = { queue: 'filter', reason: 'Eicar-Signature', quarantine: 'virus', at: nowAt, starts: 0, crashes: 0 }
  assert.deepEqual(
    jobs.map(({ queue, data }) => [queue, data.at, data.held]),
    [['held', at, held]],
  )
})

test('what the filter discards is accepted, and has its outcome', async () => {
  const { jobs, outcomes } = await receive({ answer: { kind: 'decided', disposition: discard('junk') } })
  assert.deepEqual(jobs, [])
  assert.deepEqual(
    outcomes.map(({ kind, reason }) => [kind, reason]),
    [
      ['discarded', 'junk'],
      ['discarded', 'junk'],
    ],
  )
})

const toTheQueue: readonly (readonly [string, World])[] = [
  ['nobody answers in time', { answer: { kind: 'none', reason: 'nobody answered in time' } }],
  ['the filter would be asked again later', { answer: { kind: 'decided', disposition: reject(replies.tryLater) } }],
  ['the filter tried nothing', { answer: { kind: 'decided', disposition: postpone(1_000, 'busy') } }],
  ['there is no room for two', { draft: () => Promise.reject(new SpoolFullError('full')) }],
]

for (const [when, world] of toTheQueue)
  test(`when ${when}, the message is accepted and filtered from the queue`, async () => {
    const { jobs, events, observed } = await receive(world)
    assert.deepEqual(
      jobs.map(({ queue, data }) => [queue, data.at, data.question]),
      [['filter', at, undefined]],
    )
    assert.deepEqual(events, ['undecided', 'routed'])
    assert.deepEqual(observed, ['none'])
  })

test('when Redis goes away behind the decision, the message is filtered from the queue, and no mail is lost', async () => {
  const { jobs } = await receive({ away: true })
  assert.deepEqual(
    jobs.map(({ queue }) => queue),
    ['filter'],
  )
})

const notAsked: readonly (readonly [string, World])[] = [
  [
    'only some of its recipients go to the filter first',
    {
      route: async (envelope, recipient, hops) =>
        recipient.mailbox.startsWith('a')
          ? filterThenDeliver(envelope, recipient, hops)
          : filterThenDeliver(envelope, recipient, 1),
    },
  ],
  [
    'none of its recipients goes to the filter',
    { route: (envelope, recipient) => filterThenDeliver(envelope, recipient, 1) },
  ],
  [
    'the rules refuse one of its recipients now',
    {
      route: async (envelope, recipient, hops) =>
        recipient.mailbox.startsWith('a')
          ? filterThenDeliver(envelope, recipient, hops)
          : ({ kind: 'reject', reply: replies.relayDenied, rule } as unknown as Awaited<ReturnType<Router>>),
    },
  ],
  ['its sender keeps it back until later', { envelope: { releaseAt: nowAt + 3_600_000 } }],
]

for (const [when, world] of notAsked)
  test(`nobody is asked about a message before it is accepted when ${when}`, async () => {
    const { asked, decision, observed } = await receive({ ...world, draft: () => assert.fail('no draft is written') })
    assert.deepEqual([asked, decision, observed], [[], undefined, []])
  })

test('a worker tells what its stage decides of the draft and does nothing about it', async () => {
  const seen: StageMessage[] = []
  const { answers, result, added } = await work({
    handle: async (message) => {
      seen.push(message)
      return filtered
    },
  })
  assert.deepEqual(answers, [{ kind: 'decided', disposition: filtered }])
  assert.deepEqual(
    seen.map(({ pending, beforeAccept }) => [pending, beforeAccept]),
    [[[0, 1], true]],
  )
  assert.deepEqual([result, added], [{ kind: 'done' }, 0])
})

test('a stage that fails, hangs, or was started before, and a draft that is gone, are no decision', async () => {
  const hangs: HandleMessage = (_, { signal }) =>
    new Promise((_resolve, refuse) => signal.addEventListener('abort', () => refuse(signal.reason as Error)))
  const cases = [
    [{ handle: () => Promise.reject(new Error('clamd is away')) }, 'clamd is away'],
    [{ handle: hangs, leftMs: 20 }, 'no decision within 0.02 s'],
    [{ starts: 2 }, 'filter broke off'],
    [{ read: () => Promise.reject(new SpoolReadError('w/1.draft is gone')) }, 'w/1.draft is gone'],
  ] as const
  for (const [options, reason] of cases) {
    const { answers, result } = await work(options)
    assert.deepEqual([answers, result], [[{ kind: 'none', reason }], { kind: 'done' }])
  }
})

test('a question that nobody waits for any longer is dropped without a look at the message', async () => {
  const { answers, result } = await work({ leftMs: 0, handle: () => assert.fail('nobody wants to know') })
  assert.deepEqual([answers, result], [[], { kind: 'done' }])
})

interface Work {
  readonly handle?: HandleMessage
  readonly starts?: number
  readonly leftMs?: number
  readonly read?: () => Promise<SpooledMessage>
}

/** What the worker of a stage makes of a question. */
async function work({ handle = async (): Promise<Disposition> => filtered, starts = 1, leftMs = 8_000, read }: Work) {
  const answers: Answer[] = []
  let added = 0
  let handler: JobHandler | undefined
  const context = {
    configuration: { pipeline: { queues: new Map() } },
    live: { follow: () => () => undefined, texts: new Map(), origin: undefined },
    spool: { read: read ?? (async () => ({ envelope: {}, locator: draftAt }) as SpooledMessage) },
    queues: {
      work: (_: string, options: { readonly handler: JobHandler }) => {
        handler = options.handler
        return { close: async () => undefined }
      },
      add: async () => void (added += 1),
      questions: { answer: async (_: unknown, __: string, answer: Answer) => void answers.push(answer) },
    },
    metrics: { stageSeconds: { startTimer: () => () => 0 } },
    log: silentLog(),
    clock: { now: () => nowAt },
  } as unknown as ServiceContext
  const stage = await runStage({ name: 'filter', handle }, context)
  const job = { rcpt: [0, 1], tags: [], edits: [], attempts: 0, at: draftAt } as unknown as StageJob
  const question = { untilAt: nowAt + leftMs, channel: 'here' }
  const control = {
    jobId: 'm.filter.question',
    starts,
    brokenOff: starts > 1,
    behind: false,
    signal: new AbortController().signal,
  }
  const result = await handler?.({ ...job, question }, control)
  await stage.close()
  return { answers, result, added }
}
