import assert from 'node:assert/strict'
import { appendFile, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'

import { factsFolder } from './facts.ts'
import { factDays } from './read-facts.ts'
import { createReportDuty, dueAt, isOver } from './report-duty.ts'
import { sendDay } from './send-day.ts'
import { noteSent, readSentLog, sentDays } from './sent-log.ts'
import { dmarcFact, testDay, testSending, tlsFact, writeFacts } from './testing.ts'
import type { SentMail } from './testing.ts'

const { signal } = new AbortController()
const zone = {
  'txt _dmarc.north.test': ['v=DMARC1; p=reject; rua=mailto:d@north.test'],
  'txt _smtp._tls.far.test': ['v=TLSRPTv1; rua=mailto:t@far.test'],
}

/** What is attached. */
function unpacked(mail: SentMail | undefined): string {
  const part = mail?.text.split('\r\n\r\n').at(-1)?.split('\r\n--')[0] ?? ''
  return gunzipSync(Buffer.from(part, 'base64')).toString()
}

test('a domain gets one report of a day, however often it is asked for', async (t) => {
  const { parts, mails, events, dataFolder, from, remove } = await testSending({ zone })
  t.after(remove)
  await writeFacts(dataFolder, 'dmarc', [dmarcFact(), dmarcFact(), dmarcFact({ domain: 'silent.test' })])
  const request = { kind: 'dmarc', day: testDay, sender: { from, organisation: 'Example "Mail"' }, signal } as const
  assert.deepEqual(await sendDay(parts, request), { sent: 1, impossible: 0, failed: 0 })
  const [mail] = mails
  assert.deepEqual([mail?.envelope.reversePath, mail?.envelope.recipients[0]?.mailbox], [null, 'd@north.test'])
  const text = mail?.text ?? ''
  assert.match(text, /^From: "Example \\"Mail\\"" <reports@mx\.test>\r$/m)
  assert.match(
    text,
    /^Subject: Report Domain: north\.test\r\n Submitter: mx\.test\r\n Report-ID: <[0-9a-z]{18}@mx\.test>\r$/m,
  )
  assert.match(text, /filename="mx\.test!north\.test!1795132800!1795219199\.xml\.gz"/)
  assert.match(unpacked(mail), /<count>2<\/count>/)
  assert.deepEqual(
    events.map(([name, { domain, to, count, id }]) => [name, domain, to, count, id]),
    [['sent', 'north.test', 'mailto:d@north.test', 2, mail?.envelope.id]],
  )
  await sendDay(parts, request)
  assert.equal(mails.length, 1)
  const { entries } = await readSentLog(dataFolder, 'dmarc', testDay)
  assert.deepEqual(entries.map((entry) => `${entry.domain} ${entry.result}`).toSorted(), [
    'north.test sent',
    'silent.test unwanted',
  ])
})

test('a report whose log entry a crash has lost is the same message, not another', async (t) => {
  const { parts, mails, dataFolder, from, remove } = await testSending({ zone })
  t.after(remove)
  await writeFacts(dataFolder, 'dmarc', [dmarcFact()])
  const request = { kind: 'dmarc', day: testDay, sender: { from }, signal } as const
  await sendDay(parts, request)
  await rm(join(dataFolder, 'reports', 'sent'), { recursive: true })
  await sendDay(parts, request)
  const [first, second] = mails.map(({ envelope, text }) => [envelope.id, /Report-ID: (.*)/.exec(text)?.[1]])
  assert.deepEqual(second, first)
})

test('a report on TLS waives TLS for itself', async (t) => {
  const { parts, mails, dataFolder, from, remove } = await testSending({ zone })
  t.after(remove)
  await writeFacts(dataFolder, 'tls', [tlsFact(), tlsFact({ failure: { result: 'starttls-not-supported' } })])
  await sendDay(parts, { kind: 'tls', day: testDay, sender: { from }, signal })
  const text = mails[0]?.text ?? ''
  assert.match(text, /^TLS-Required: No\r$/m)
  assert.match(text, /^TLS-Report-Domain: far\.test\r\nTLS-Report-Submitter: mx\.test\r$/m)
  assert.match(text, /^Content-Type: multipart\/report; report-type="tlsrpt";\r$/m)
  assert.match(text, /^Content-Type: application\/tlsrpt\+gzip;\r$/m)
  const { policies } = JSON.parse(unpacked(mails[0])) as { policies: { summary: object }[] }
  assert.deepEqual(policies[0]?.summary, { 'total-successful-session-count': 1, 'total-failure-session-count': 1 })
})

test('what fails is tried again, what went is not, and at the end it is given up', async (t) => {
  const { parts, mails, events, dataFolder, disk, from, remove } = await testSending({
    zone: {
      ...zone,
      'txt _dmarc.away.test': 'fails',
      'txt _dmarc.out.test': ['v=DMARC1;p=none;rua=mailto:x@far.test'],
    },
  })
  t.after(remove)
  const domains = ['north.test', 'away.test', 'out.test']
  await writeFacts(
    dataFolder,
    'dmarc',
    domains.map((domain) => dmarcFact({ domain })),
  )
  const request = { kind: 'dmarc', day: testDay, sender: { from }, signal } as const
  disk.isFull = true
  assert.deepEqual(await sendDay(parts, request), { sent: 0, impossible: 1, failed: 2 })
  disk.isFull = false
  assert.deepEqual(await sendDay(parts, request), { sent: 1, impossible: 0, failed: 1 })
  assert.deepEqual(await sendDay(parts, { ...request, isLastTry: true }), { sent: 0, impossible: 1, failed: 0 })
  assert.equal(mails.length, 1)
  const givenUp = events.flatMap(([, { domain, again }]) => (again === false ? [String(domain)] : []))
  assert.deepEqual(givenUp.toSorted(), ['away.test', 'out.test'])
  assert.equal((await readSentLog(dataFolder, 'dmarc', testDay)).done, true)
})

test('a report is made as small as the domain wants it, or not sent', async (t) => {
  const record = (limit: string): readonly string[] => [`v=DMARC1; p=none; rua=mailto:d@north.test!${limit}`]
  for (const [limit, result] of [
    ['3k', 'sent'],
    ['100', 'impossible'],
  ] as const) {
    const { parts, mails, dataFolder, from, remove } = await testSending({
      zone: { 'txt _dmarc.north.test': record(limit) },
    })
    t.after(remove)
    const facts = Array.from({ length: 2_000 }, (_, index) =>
      dmarcFact({ sourceIp: `10.0.${index >> 8}.${index & 255}` }),
    )
    await writeFacts(dataFolder, 'dmarc', facts)
    const totals = await sendDay(parts, { kind: 'dmarc', day: testDay, sender: { from }, signal })
    assert.equal(totals[result], 1)
    if (result === 'sent') assert.match(unpacked(mails[0]), /<error>\d+ rows were left out/)
  }
})

test('a torn line in the log of what was sent spoils no other', async (t) => {
  const { dataFolder, remove } = await testSending()
  t.after(remove)
  const entry = { at: 1, domain: 'a.test', uri: '', result: 'impossible', count: 1 } as const
  await noteSent(dataFolder, 'tls', testDay, entry)
  await appendFile(join(dataFolder, 'reports', 'sent', 'tls', `${testDay}.jsonl`), '\n{"at":1,"domain":"cut')
  await noteSent(dataFolder, 'tls', testDay, { ...entry, domain: 'b.test' })
  assert.deepEqual(
    (await readSentLog(dataFolder, 'tls', testDay)).entries.map(({ domain }) => domain),
    ['a.test', 'b.test'],
  )
})

test('a domain whose record came back is not seen as failed any more', async (t) => {
  const { dataFolder, remove } = await testSending()
  t.after(remove)
  const entry = { at: 1, domain: 'a.test', count: 1 } as const
  await noteSent(dataFolder, 'tls', testDay, { ...entry, uri: '', result: 'failed' })
  await noteSent(dataFolder, 'tls', testDay, { ...entry, uri: 'mailto:t@a.test', result: 'sent' })
  assert.deepEqual(
    (await readSentLog(dataFolder, 'tls', testDay)).entries.map(({ uri }) => uri),
    ['mailto:t@a.test'],
  )
})

test('reports go out hours after midnight, once, and old statistics are removed', async (t) => {
  const { parts, mails, time, dataFolder, remove } = await testSending({ zone })
  t.after(remove)
  await writeFacts(dataFolder, 'dmarc', [dmarcFact()])
  const duty = createReportDuty(parts)
  const due = dueAt('dmarc', testDay, 'mx.test')
  assert.ok(due >= Date.parse('2026-11-21T00:10:00Z') && due < Date.parse('2026-11-21T04:10:00Z'))
  time.now = due - 1
  await duty(signal)
  assert.equal(mails.length, 0)
  time.now = due
  await duty(signal)
  await duty(signal)
  await createReportDuty(parts)(signal)
  assert.equal(mails.length, 1)
  time.now = Date.parse('2026-11-28T00:00:01Z')
  await duty(signal)
  assert.deepEqual([await factDays(dataFolder, 'dmarc'), await sentDays(dataFolder, 'dmarc')], [[], [testDay]])
  time.now = Date.parse('2026-12-22T00:00:00Z')
  await duty(signal)
  assert.deepEqual(await sentDays(dataFolder, 'dmarc'), [])
})

test('a domain that DNS does not tell about is asked once an hour', async (t) => {
  const { parts, time, resolver, dataFolder, remove } = await testSending({
    zone: { 'txt _dmarc.north.test': 'fails' },
  })
  t.after(remove)
  await writeFacts(dataFolder, 'dmarc', [dmarcFact()])
  const duty = createReportDuty(parts)
  time.now = dueAt('dmarc', testDay, 'mx.test')
  for (let minute = 0; minute < 130; minute += 1) {
    await duty(signal)
    time.now += 60_000
  }
  assert.equal(resolver.asked.length, 3)
})

test('nothing is sent for what is switched off, and what was collected goes all the same', async (t) => {
  const { parts, mails, time, dataFolder, remove } = await testSending({ zone, reports: {} })
  t.after(remove)
  await writeFacts(dataFolder, 'dmarc', [dmarcFact()])
  time.now = Date.parse('2026-11-29T00:00:00Z')
  await createReportDuty(parts)(signal)
  assert.equal(mails.length, 0)
  assert.deepEqual(await readdir(factsFolder(dataFolder, 'dmarc')), [])
  assert.equal(isOver(testDay, time.now), true)
})

test('a flood of senders is told by those that sent most', async (t) => {
  const { parts, mails, dataFolder, from, remove } = await testSending({ zone })
  t.after(remove)
  const sources = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, index) =>
      dmarcFact({ sourceIp: `10.${(from + index) >> 8}.${(from + index) & 255}.1` }),
    )
  await writeFacts(dataFolder, 'dmarc', sources(0, 19_999))
  await writeFacts(dataFolder, 'dmarc', sources(19_999, 21_000))
  assert.equal((await sendDay(parts, { kind: 'dmarc', day: testDay, sender: { from }, signal })).sent, 1)
  assert.match(unpacked(mails[0]), /<error>1000 rows were left out/)
})
