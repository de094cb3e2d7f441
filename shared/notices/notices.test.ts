import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { AdminNotice, NoticeSettings } from '../config/model.ts'
import { silentLog } from '../log.ts'
import type { Mailbox } from '../mail/address.ts'
import type { Envelope } from '../mail/envelope.ts'
import { newMessageId } from '../mail/message-id.ts'
import { tag } from '../mail/tag.ts'
import { notifyAdmins, sendNoticeSummaries } from './admin-notices.ts'
import { notifyOfBadHeader } from './bad-header-notice.ts'
import type { BadHeaderParts } from './bad-header-notice.ts'

const hourMs = 3_600_000
const startAt = 1_700_000_000_000 - (1_700_000_000_000 % hourMs)
const root = 'root@sluice.test' as Mailbox
const user = { kind: 'smtp', address: '192.0.2.1', user: 'jane' } as const
const header = Buffer.from('From: jane@sluice.test\r\nSubject: hello\r\n\r\n')

interface Sent {
  readonly envelope: Envelope
  readonly text: string
}

/** `far.test` is elsewhere. */
function bench(notices: NoticeSettings) {
  const sent: Sent[] = []
  const counts = new Map<string, number>()
  const time = { now: startAt }
  const broken = { redis: false }
  const parts = {
    configuration: { hostname: 'mx.sluice.test', pipeline: { notices } },
    queues: {
      tallies: {
        merge: async (additions: readonly { readonly key: string; readonly amount: number }[]) => {
          if (broken.redis) throw new Error('Redis is away')
          return additions.map(({ key, amount }) => {
            const count = (counts.get(key) ?? 0) + amount
            counts.set(key, count)
            return count
          })
        },
      },
    },
    pipeline: {
      submit: async (envelope: Envelope, content: Buffer) =>
        void sent.push({ envelope, text: content.toString().replaceAll('=\r\n', '') }),
      route: async (_envelope: Envelope, { mailbox }: { mailbox: Mailbox }) => ({
        kind: mailbox.endsWith('@far.test') ? 'relay' : 'local',
      }),
    },
    events: { reported: () => {} },
    clock: { now: () => time.now },
    log: silentLog(),
  } as unknown as BadHeaderParts
  return { parts, sent, time, broken }
}

function envelopeOf(fields: Partial<Envelope> = {}): Envelope {
  return {
    id: newMessageId(startAt),
    reversePath: 'jane@sluice.test' as Mailbox,
    recipients: [{ mailbox: 'x@far.test' as Mailbox }],
    tags: [],
    origin: user,
    receivedAt: startAt,
    ...fields,
  }
}

function admin(fields: Partial<AdminNotice> = {}): NoticeSettings {
  return { admins: [{ to: root, of: ['virus', 'spam'], limit: { count: 2, periodMs: hourMs }, ...fields }] }
}

const virus = { kind: 'virus', reason: 'virus: Eicar\r\nBcc: x@far.test', action: 'quarantine' } as const

test('the administrator gets one mail for each outgoing virus, with who sent what to whom', async () => {
  const { parts, sent } = bench(admin())
  const envelope = envelopeOf()
  await notifyAdmins(parts, envelope, header, virus)
  const [one] = sent
  assert.deepEqual([sent.length, one?.envelope.recipients[0]?.mailbox, one?.envelope.reversePath], [1, root, null])
  assert.match(one?.text ?? '', /Auto-Submitted: auto-generated[^]*User: +jane[^]*x@far\.test[^]*Subject: +hello/)
  assert.match(one?.text ?? '', /Found: +virus: Eicar Bcc: x@far\.test\r\n/, 'on one line')
  await notifyAdmins(parts, envelope, header, virus)
  assert.equal(sent[1]?.envelope.id, one?.envelope.id, 'a step that is done twice makes the same message')
})

test('mail of strangers, of other kinds and of this server itself is not told; with a tag what has it is', async () => {
  const { parts, sent } = bench(admin())
  await notifyAdmins(parts, envelopeOf({ origin: { kind: 'smtp', address: '192.0.2.1' } }), header, virus)
  await notifyAdmins(parts, envelopeOf({ origin: { kind: 'local' } }), header, virus)
  await notifyAdmins(parts, envelopeOf(), header, { ...virus, kind: 'banned' })
  assert.deepEqual(sent, [])
  const tagged = bench(admin({ tag: 'Originating' }))
  await notifyAdmins(tagged.parts, envelopeOf(), header, virus)
  assert.deepEqual(tagged.sent, [])
  const origin = { kind: 'smtp', address: '10.0.0.1' } as const
  await notifyAdmins(tagged.parts, envelopeOf({ origin, tags: [tag('ORIGINATING')] }), header, virus)
  await notifyAdmins(tagged.parts, envelopeOf({ origin: { kind: 'local' }, tags: [tag('ORIGINATING')] }), header, virus)
  assert.equal(tagged.sent.length, 1)
})

test('a flood is two notices and a number, told once when its hour is over', async () => {
  const { parts, sent, time } = bench(admin())
  for (let count = 0; count < 40; count += 1) await notifyAdmins(parts, envelopeOf(), header, virus)
  assert.equal(sent.length, 2)
  assert.equal(await sendNoticeSummaries(parts), 0, 'the hour is not over')
  time.now += hourMs
  assert.equal(await sendNoticeSummaries(parts), 1)
  assert.equal(await sendNoticeSummaries(parts), 0)
  assert.match(sent[2]?.text ?? '', /Subject: 38 more outgoing messages with a virus/)
  await notifyAdmins(parts, envelopeOf(), header, virus)
  assert.equal(sent.length, 4, 'the next hour begins anew')
  time.now += hourMs
  assert.equal(await sendNoticeSummaries(parts), 0, 'nothing was left out')
})

test('a notice that cannot be sent costs no mail', async () => {
  const { parts, sent, broken } = bench({ ...admin(), badHeader: { count: 1, periodMs: hourMs } })
  broken.redis = true
  await notifyAdmins(parts, envelopeOf(), header, virus)
  await notifyOfBadHeader(parts, envelopeOf(), Buffer.from('Date: 1\r\nDate: 2\r\n\r\n'))
  assert.deepEqual(sent, [])
})

const bad = 'Date: 1\r\nDate: 2\r\nSubject: Gr\u00fc\u00dfe\r\n'

async function toldOf(fields: Partial<Envelope>, text = bad): Promise<readonly Sent[]> {
  const { parts, sent } = bench({ admins: [], badHeader: { count: 1, periodMs: hourMs } })
  await notifyOfBadHeader(parts, envelopeOf(fields), Buffer.from(`${text}\r\n`))
  return sent
}

test('a user is told once what is wrong with the header that his program writes', async () => {
  const { parts, sent, time } = bench({ admins: [], badHeader: { count: 1, periodMs: hourMs } })
  for (let count = 0; count < 3; count += 1) await notifyOfBadHeader(parts, envelopeOf(), Buffer.from(`${bad}\r\n`))
  assert.equal(sent.length, 1)
  assert.equal(sent[0]?.envelope.recipients[0]?.mailbox, 'jane@sluice.test')
  assert.equal(sent[0]?.envelope.reversePath, null)
  assert.match(sent[0]?.text ?? '', /\* subject holds characters that are not ASCII[^]*\* date stands there 2 times/)
  time.now += hourMs
  await notifyOfBadHeader(parts, envelopeOf(), Buffer.from(`${bad}\r\n`))
  assert.equal(sent.length, 2)
  assert.equal((await toldOf({}, 'Subject: fine\r\n')).length, 0)
})

test('no stranger, no null sender, no mailbox elsewhere and no program is told of its header', async () => {
  assert.equal((await toldOf({})).length, 1)
  assert.deepEqual(await toldOf({ origin: { kind: 'smtp', address: '192.0.2.1' } }), [])
  assert.deepEqual(await toldOf({ origin: { kind: 'local' } }), [])
  assert.deepEqual(await toldOf({ reversePath: null }), [])
  assert.deepEqual(await toldOf({ reversePath: 'victim@far.test' as Mailbox }), [], 'he writes in the name of another')
  for (const field of [
    'Auto-Submitted: auto-generated',
    'auto-submitted: auto-replied',
    'Precedence: bulk',
    'List-Id: <x>',
  ])
    assert.deepEqual(await toldOf({}, `${bad}${field}\r\n`), [], field)
  assert.equal((await toldOf({}, `${bad}Auto-Submitted: no\r\n`)).length, 1)
})
