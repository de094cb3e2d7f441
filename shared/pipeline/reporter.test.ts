import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Configuration } from '../config/model.ts'
import type { Events } from '../events.ts'
import { silentLog } from '../log.ts'
import type { Mailbox } from '../mail/address.ts'
import type { Origin } from '../mail/envelope.ts'
import { newMessageId } from '../mail/message-id.ts'
import type { Reply } from '../mail/reply.ts'
import type { RateGate } from '../queue/queues.ts'
import type { SpooledMessage } from '../spool/spool.ts'
import { createReporter } from './reporter.ts'
import type { StageMessage } from './stage.ts'

const receivedAt = 1_700_000_000_000
const content = Buffer.from('Subject: secret\r\n\r\nthe body\r\n')
const headerBytes = content.indexOf('the body')

/** A message whose sender asked for all of it (RET=FULL). */
function message(origin: Origin = { kind: 'smtp', user: 'jane' }): StageMessage {
  const envelope = {
    id: newMessageId(receivedAt),
    reversePath: 'jane@example.org' as Mailbox,
    recipients: [{ mailbox: 'joe@example.net' as Mailbox }],
    tags: [],
    origin,
    receivedAt,
    dsn: { ret: 'full' },
  } as const
  const stored = {
    locator: { headerBytes },
    header: async () => content.subarray(0, headerBytes),
    content: async () => content,
  } as unknown as SpooledMessage
  return { envelope, pending: [0], edits: [], sizeBytes: content.length, attempts: 0, stored }
}

/** Reports of failures, what became of them, and what was asked of the gate of rates. */
function bench(bounces: Configuration['pipeline']['bounces'] = {}, take: RateGate['take'] = async () => 0) {
  const reports: string[] = []
  const dropped: unknown[] = []
  const events = new Proxy(
    {},
    { get: (_, name) => (fields: unknown) => name === 'reportDropped' && dropped.push(fields) },
  )
  const reporter = createReporter({
    configuration: { hostname: 'mx.example.org', queueTtlMs: 1, pipeline: { bounces } } as unknown as Configuration,
    events: events as Events,
    clock: { now: () => receivedAt },
    log: silentLog(),
    rateGate: { take },
    submit: async (_envelope, octets) => {
      reports.push(octets.toString())
      return { segment: '', offset: 0, recordBytes: 0, sizeBytes: 0, headerBytes: 0 }
    },
  })
  return { reporter, reports, dropped }
}

async function reportOf(reply: Reply): Promise<string> {
  const { reporter, reports } = bench()
  await reporter.reportFailure(message(), [{ recipient: 0, reply, reached: 'local' }])
  assert.equal(reports.length, 1)
  return reports[0] ?? ''
}

test('who asks for the whole message gets it back, but not what was refused as dangerous', async () => {
  const unknown = await reportOf({ code: 550, enhanced: '5.1.1', text: 'No such user' })
  assert.match(unknown, /the body/)
  const infected = await reportOf({ code: 550, enhanced: '5.7.1', text: 'Message content rejected (virus: Eicar)' })
  assert.match(infected, /virus: Eicar/)
  assert.match(infected, /Subject: secret/)
  assert.doesNotMatch(infected, /the body/)
})

const unknownUser = [{ recipient: 0, reply: { code: 550, text: 'No such user' }, reached: 'local' }] as const
const hour = 3_600_000

test('nobody gets more reports about mail of strangers than the limits say, and what is not sent is told', async () => {
  const full = new Set(['bounces limit domain 5/3600s example.org'])
  const asked: string[] = []
  const { reporter, reports, dropped } = bench(
    { address: { count: 2, periodMs: hour }, domain: { count: 5, periodMs: hour } },
    async ([taking]) => {
      asked.push(taking?.key ?? '')
      return full.has(taking?.key ?? '') ? 1_000 : 0
    },
  )
  const stranger = message({ kind: 'smtp', address: '192.0.2.7' })
  await reporter.reportFailure(stranger, unknownUser)
  assert.deepEqual(asked, ['bounces limit address 2/3600s jane@example.org', ...full])
  assert.deepEqual(reports, [])
  const { id } = stranger.envelope
  assert.deepEqual(dropped, [{ id, to: 'jane@example.org', action: 'failed', limit: 'bounces limit domain 5/3600s' }])
  full.clear()
  await reporter.reportDelay(stranger, unknownUser, 1)
  assert.equal(reports.length, 1)
})

test('who logged in, and this host, get all their reports; so does everybody without a limit or without Redis', async () => {
  const limits = { address: { count: 1, periodMs: hour } }
  const origins: readonly Origin[] = [
    { kind: 'smtp', user: 'jane' },
    { kind: 'local' },
    { kind: 'smtp', thisHost: true },
  ]
  for (const origin of origins) {
    const { reporter, reports } = bench(limits, () => assert.fail('nothing is counted'))
    await reporter.reportFailure(message(origin), unknownUser)
    assert.equal(reports.length, 1)
  }
  const unlimited = bench({}, () => assert.fail('nothing is counted'))
  await unlimited.reporter.reportFailure(message({ kind: 'smtp' }), unknownUser)
  const alone = bench(limits, () => Promise.reject(new Error('Redis is away')))
  await alone.reporter.reportFailure(message({ kind: 'smtp' }), unknownUser)
  assert.equal(unlimited.reports.length + alone.reports.length, 2)
})

test('who asks to hear of success hears that an alias was expanded, once, and of none of those behind it', async () => {
  const { reporter, reports } = bench()
  const one = message()
  const behind = { original: 'team@example.net' as Mailbox, notify: ['failure'], expanded: true } as const
  const recipients = [
    { mailbox: 'ann@example.net' as Mailbox, ...behind },
    { mailbox: 'joe@example.net' as Mailbox, ...behind },
    { mailbox: 'sue@example.net' as Mailbox, notify: ['success'] as const },
  ]
  const expanded = { ...one, envelope: { ...one.envelope, recipients } }
  await reporter.reportExpanded(expanded)
  assert.match(
    reports[0] ?? '',
    /Final-Recipient: rfc822; team@example\.net\r\nAction: expanded\r\nStatus: 2\.0\.0\r\n/,
  )
  assert.doesNotMatch(reports[0] ?? '', /ann@|joe@example|sue@/)
  const delivered = { reply: { code: 250, text: 'ok' }, reached: 'local' } as const
  await reporter.reportSuccess(expanded, [
    { recipient: 0, ...delivered },
    { recipient: 1, ...delivered },
  ])
  await reporter.reportExpanded(message())
  assert.equal(reports.length, 1)
})
