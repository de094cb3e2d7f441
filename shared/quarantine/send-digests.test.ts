import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import type { DigestSettings } from '../config/model.ts'
import { silentLog } from '../log.ts'
import type { Mailbox } from '../mail/address.ts'
import type { Quarantine } from '../mail/disposition.ts'
import type { Envelope } from '../mail/envelope.ts'
import { newMessageId } from '../mail/message-id.ts'
import { tag } from '../mail/tag.ts'
import { testJob } from '../queue/testing.ts'
import type { JobSummary, Notes } from '../queue/queues.ts'
import type { SpooledMessage } from '../spool/spool.ts'
import { nextDigestAt, readDigestState } from './digest-times.ts'
import { createLinkSigner, readLinkKey } from './links.ts'
import { sendDigests } from './send-digests.ts'
import type { DigestParts } from './send-digests.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs
const startAt = Date.UTC(2026, 10, 21, 12)

interface Sent {
  readonly envelope: Envelope
  readonly text: string
}

interface HeldMail {
  readonly to: readonly string[]
  readonly at: number
  readonly kind?: Quarantine
  readonly from?: string | null
  readonly origin?: 'local' | 'smtp'
}

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'digests-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}

/** Two users here, `far.test` elsewhere, and what the filter keeps back. */
function bench(t: TestContext, digest: Partial<DigestSettings> = {}) {
  const dataFolder = folderOf(t)
  const jobs: JobSummary[] = []
  const stored = new Map<string, SpooledMessage>()
  const sent: Sent[] = []
  const time = { now: startAt }
  const failing = { after: Number.POSITIVE_INFINITY }
  const written = new Map<string, string>()
  const notes: Notes = {
    read: async (name) => written.get(name),
    write: async (name, text) => void written.set(name, text),
  }
  const settings: DigestSettings = { everyMs: dayMs, to: 'recipients', ...digest }
  const parts = {
    configuration: {
      hostname: 'mx.sluice.test',
      pipeline: {
        quarantine: { digest: settings },
        dashboard: { url: 'https://mail.sluice.test' },
        queues: new Map([['filter', { tag: 'Filtered' }]]),
      },
    },
    queues: {
      list: async (_queue: string, _states: unknown, start: number, end: number) => jobs.slice(start, end + 1),
      notes,
    },
    spool: { read: async ({ segment }: { segment: string }) => stored.get(segment) },
    pipeline: {
      route: async ({ tags }: Envelope, { mailbox }: { mailbox: Mailbox }) => {
        if (!tags.includes(tag('Filtered'))) return { kind: 'stage', queue: 'filter', tag: tag('Filtered') }
        return { kind: mailbox.endsWith('@far.test') ? 'relay' : 'local' }
      },
      submit: async (envelope: Envelope, content: Buffer) => {
        if (sent.length >= failing.after) throw new Error('the disk is full')
        sent.push({ envelope, text: content.toString().replaceAll('=\r\n', '').replaceAll('=3D', '=') })
      },
    },
    dataFolder,
    clock: { now: () => time.now },
    log: silentLog(),
  } as unknown as DigestParts
  const hold = ({ to, at, kind = 'spam', from = 'win@spam.example', origin = 'smtp' }: HeldMail) => {
    const id = newMessageId(at)
    const mailboxes = to as readonly Mailbox[]
    const held = { queue: 'filter', reason: `${kind} found`, quarantine: kind, at, starts: 1, crashes: 0 }
    const job = testJob('held', {
      id,
      rcpt: mailboxes.map((_, index) => index),
      to: mailboxes,
      held,
      from: from as Mailbox,
    })
    const envelope = { id, reversePath: from, recipients: mailboxes.map((mailbox) => ({ mailbox })), tags: [] }
    const header = Buffer.from(
      `From: Winner <win@spam.example>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= ${jobs.length}\r\n\r\n`,
    )
    stored.set(id, {
      envelope: { ...envelope, origin: { kind: origin }, receivedAt: at },
      header: async () => header,
    } as unknown as SpooledMessage)
    const data = { ...job.data, at: { ...job.data.at, segment: id } }
    jobs.push({ queue: 'held', jobId: job.jobId, state: 'waiting', data, attempts: 0, addedAt: at, starts: 0 })
    return id
  }
  const run = (signal = new AbortController().signal) => sendDigests(parts, signal)
  /** The ledger of another host of the same spool. */
  const elsewhere = { ...parts, dataFolder: folderOf(t) }
  const runElsewhere = () => sendDigests(elsewhere, new AbortController().signal)
  return { run, runElsewhere, hold, sent, time, failing, place: { dataFolder, notes }, written, jobs }
}

const to = (sent: readonly Sent[]) => sent.map(({ envelope }) => envelope.recipients[0]?.mailbox ?? '')
const subjects = ({ text }: Sent) => [...text.matchAll(/^Subject: +Gr=C3=BC=C3=9Fe (\d+)/gm)].map((match) => match[1])

test('each recipient here is told once of what was newly kept back from him', async (t) => {
  const { run, hold, sent, time } = bench(t)
  assert.equal(await run(), 0, 'the first look')
  hold({ to: ['jane@sluice.test', 'joe@sluice.test', 'x@far.test'], at: startAt + 1 })
  hold({ to: ['jane@sluice.test'], at: startAt + 2 })
  hold({ to: ['jane@sluice.test'], at: startAt + 3, origin: 'local' })
  time.now = startAt + dayMs - 1
  assert.equal(await run(), 0, 'not due')
  time.now += 1
  assert.equal(await run(), 2)
  assert.deepEqual(to(sent), ['jane@sluice.test', 'joe@sluice.test'])
  assert.deepEqual(sent.map(subjects), [['0', '1'], ['0']])
  assert.ok(sent.every(({ envelope }) => envelope.reversePath === null && envelope.origin.kind === 'local'))
  assert.ok(sent.every(({ text }) => text.includes('Auto-Submitted: auto-generated')))
  assert.equal(await run(), 0)
  hold({ to: ['joe@sluice.test'], at: time.now + 1 })
  time.now += dayMs
  assert.equal(await run(), 1)
  assert.deepEqual(sent.slice(2).map(subjects), [['3']])
  time.now += 10 * dayMs
  assert.equal(await run(), 0, 'nothing new')
})

test('digests that a crash broke off are taken up under the same ids', async (t) => {
  const { run, hold, sent, time, failing, place } = bench(t)
  await run()
  hold({ to: ['jane@sluice.test', 'joe@sluice.test'], at: startAt + 1 })
  time.now += dayMs
  failing.after = 1
  await assert.rejects(run(), /the disk is full/)
  failing.after = Number.POSITIVE_INFINITY
  hold({ to: ['jane@sluice.test'], at: time.now - 5 })
  time.now += 60_000
  assert.equal(await run(), 2)
  const [first, again] = sent
  assert.equal(first?.envelope.id, again?.envelope.id, 'the queue takes the second for the first')
  assert.deepEqual(sent.map(subjects), [['0'], ['0'], ['0']], 'about the same mail')
  assert.equal((await readDigestState(place))?.sending, undefined)
  time.now += dayMs
  await run()
  assert.deepEqual(sent.slice(3).map(subjects), [['1']])
})

test('another host that takes over tells nothing again, and takes up what broke off', async (t) => {
  const { run, runElsewhere, hold, sent, time, failing, written } = bench(t)
  await run()
  hold({ to: ['jane@sluice.test', 'joe@sluice.test'], at: startAt + 1 })
  time.now += dayMs
  failing.after = 1
  await assert.rejects(run(), /the disk is full/)
  failing.after = Number.POSITIVE_INFINITY
  assert.equal(await runElsewhere(), 2)
  assert.equal(sent[0]?.envelope.id, sent[1]?.envelope.id)
  assert.equal(await run(), 0, 'it leads again')
  hold({ to: ['jane@sluice.test'], at: time.now + 1 })
  time.now += dayMs
  assert.equal(await run(), 1)
  assert.deepEqual(sent.slice(3).map(subjects), [['1']])
  assert.equal(await runElsewhere(), 0)
  written.clear()
  assert.equal(await run(), 0, 'Redis was emptied: the disk knows')
})

test('links do what may be done: no virus is let go, and nobody without a name is blocked', async (t) => {
  const { run, hold, sent, time, place } = bench(t)
  await run()
  const ids = [
    hold({ to: ['jane@sluice.test'], at: startAt + 1 }),
    hold({ to: ['jane@sluice.test'], at: startAt + 2, kind: 'virus' }),
    hold({ to: ['joe@sluice.test', 'jane@sluice.test'], at: startAt + 3, kind: 'banned', from: null }),
  ]
  time.now += dayMs
  await run()
  const signer = createLinkSigner(await readLinkKey(place.dataFolder))
  const jane = sent.find(({ envelope }) => envelope.recipients[0]?.mailbox.startsWith('jane'))
  const links = [...(jane?.text ?? '').matchAll(/^ {4}https:\/\/mail\.sluice\.test\/quarantine\/(\S+)\r$/gm)].map(
    (match) => {
      const link = signer.verify(match[1] ?? '', time.now)
      return [ids.indexOf(link?.id ?? newMessageId(0)), link?.recipient, link?.action]
    },
  )
  assert.deepEqual(links, [
    [0, 0, 'release'],
    [0, 0, 'ham'],
    [0, 0, 'delete'],
    [0, 0, 'block'],
    [1, 0, 'delete'],
    [1, 0, 'block'],
    [2, 1, 'release'],
    [2, 1, 'delete'],
  ])
})

test('one address is told of all that was kept back, and of whom; a flood is told by its number', async (t) => {
  const { run, hold, sent, time } = bench(t, { to: 'postmaster@sluice.test' as Mailbox })
  await run()
  for (let count = 0; count < 130; count += 1) hold({ to: ['x@far.test'], at: startAt + 1 })
  time.now += dayMs
  assert.equal(await run(), 1)
  assert.deepEqual(to(sent), ['postmaster@sluice.test'])
  assert.match(sent[0]?.text ?? '', /Subject: 130 messages were kept back[^]*To: +x@far\.test[^]*And 30 messages more/)
})

test('with a time of the day digests come then, at either side of it', () => {
  const settings: DigestSettings = { everyMs: dayMs, atMinute: 7 * 60, to: 'recipients' }
  const at = (day: number, hour: number, minute = 0) => new Date(2026, 10, day, hour, minute).getTime()
  assert.equal(nextDigestAt(at(21, 6), settings), at(21, 7))
  assert.equal(nextDigestAt(at(21, 7), settings), at(22, 7))
  assert.equal(nextDigestAt(at(21, 7, 1), settings), at(22, 7))
  assert.equal(nextDigestAt(at(21, 8), { ...settings, everyMs: 7 * dayMs }), at(28, 7))
  assert.equal(nextDigestAt(at(21, 8), { everyMs: hourMs, to: 'recipients' }), at(21, 9))
})
