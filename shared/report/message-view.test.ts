import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { JournalEntry } from '../journal.ts'
import { parseMailbox } from '../mail/address.ts'
import type { Mailbox } from '../mail/address.ts'
import type { Envelope } from '../mail/envelope.ts'
import { newMessageId } from '../mail/message-id.ts'
import { tag } from '../mail/tag.ts'
import type { OutcomeRecord } from '../spool/spool.ts'
import { composeMessage, describeEdits } from './message-view.ts'
import type { MessageParts } from './message-view.ts'
import type { JobView } from './views.ts'

const at = Date.UTC(2026, 10, 21)
const id = newMessageId(at)
const names = ['ann', 'bob', 'cy', 'dee', 'eve']
const to = names.map((name) => mailbox(`${name}@example.org`))

function mailbox(text: string): Mailbox {
  const parsed = parseMailbox(text)
  if (parsed === undefined) throw new TypeError(text)
  return parsed
}

const envelope: Envelope = {
  id,
  reversePath: mailbox('joe@example.net'),
  recipients: to.map((one) => ({ mailbox: one })),
  tags: [tag('Submitted')],
  origin: { kind: 'smtp', address: '192.0.2.1', port: 4000, user: 'joe', tls: { version: 'TLSv1.3', cipher: 'X' } },
  receivedAt: at,
}
const locator = { segment: 'a/1.msg', offset: 0, recordBytes: 10, sizeBytes: 1234, headerBytes: 5 }
const received: JournalEntry = { at, event: 'received', id, from: 'joe@example.net', to, sizeBytes: 1234, user: 'joe' }

function outcome(recipient: number, kind: OutcomeRecord['kind'], more: Partial<OutcomeRecord> = {}): OutcomeRecord {
  return { id, recipient, kind, stage: 'relay', at: at + recipient, ...more }
}

function job(rcpt: readonly number[], fields: Partial<JobView>): JobView {
  return {
    queue: 'relay',
    jobId: `${id}.relay.0`,
    id,
    state: 'delayed',
    receivedAt: at,
    sizeBytes: 1234,
    from: envelope.reversePath,
    to: rcpt.map((index) => to[index] as Mailbox),
    rcpt,
    tags: ['Signed', 'submitted'],
    path: ['sign'],
    edits: [{ kind: 'prepend', fields: 'Received: by us;\r\n\tnow\r\n' }],
    attempts: 1,
    ...fields,
  }
}

function parts(fields: Partial<MessageParts>): MessageParts {
  return { stored: undefined, outcomes: [], story: [], jobs: { kind: 'seen', value: [] }, ...fields }
}

test('each recipient has the state of the outcome log, else of its job', () => {
  const view = composeMessage(
    id,
    parts({
      stored: { envelope, edits: [], locator },
      outcomes: [
        outcome(0, 'relayed', { reply: { code: 250, enhanced: '2.0.0', text: 'ok' } }),
        outcome(1, 'failed', { reply: { code: 550, text: 'no' } }),
        outcome(2, 'held', { reason: 'odd' }),
        outcome(2, 'released'),
      ],
      jobs: {
        kind: 'seen',
        value: [job([0, 1, 2, 3, 4], { state: 'done', edits: [] }), job([2, 3], { lastReply: '451 later' })],
      },
    }),
  )
  assert.deepEqual(
    view?.recipients.map(({ state, detail }) => [state, detail]),
    [
      ['relayed', '250 2.0.0 ok'],
      ['failed', '550 no'],
      ['delayed', '451 later'],
      ['delayed', '451 later'],
      ['accepted', undefined],
    ],
  )
  assert.deepEqual(view.tags, ['Submitted', 'Signed'])
  assert.deepEqual(view.edits, ['add Received: by us;\tnow'])
})

test('a held recipient stays held when Redis is away', () => {
  const view = composeMessage(
    id,
    parts({
      stored: { envelope, edits: [], locator },
      outcomes: [outcome(0, 'held', { reason: 'odd' })],
      jobs: { kind: 'away', reason: 'gone' },
    }),
  )
  assert.deepEqual(view?.recipients[0], { mailbox: to[0], state: 'held', detail: 'odd', at })
})

test('a message that has left the spool is told from the journal', () => {
  const story: readonly JournalEntry[] = [
    received,
    { at: at + 1, event: 'passed', id, stage: 'sign', tag: 'Signed', tookMs: 1 },
    { at: at + 2, event: 'relayed', id, recipient: to[0], reply: '250 ok' },
    { at: at + 3, event: 'expired', id, recipient: to[1], reply: '554 5.4.7 too old' },
  ]
  const view = composeMessage(id, parts({ story }))
  assert.equal(view?.knownFrom, 'journal')
  assert.equal(view.from, 'joe@example.net')
  assert.deepEqual(view.tags, ['Signed'])
  assert.deepEqual(
    view.recipients.slice(0, 3).map(({ state, detail }) => [state, detail]),
    [
      ['relayed', '250 ok'],
      ['failed', '554 5.4.7 too old'],
      ['accepted', undefined],
    ],
  )
  assert.deepEqual(view.origin, [{ name: 'user', value: 'joe' }])
})

test('a message has the names people know it by, and a held copy since when', () => {
  const story = [{ ...received, subject: 'Our order', messageId: '<a.b@example.net>' }]
  const held = job([0], { state: 'held', reason: 'spam', heldAt: at + 7 })
  for (const stored of [{ envelope, edits: [], locator }, undefined]) {
    const view = composeMessage(id, parts({ stored, story, jobs: { kind: 'seen', value: [held] } }))
    assert.deepEqual(view?.origin.slice(0, 2), [
      { name: 'subject', value: 'Our order' },
      { name: 'Message-ID', value: '<a.b@example.net>' },
    ])
    assert.deepEqual(view?.recipients[0], { mailbox: to[0], state: 'held', at: at + 7, detail: 'spam' })
  }
})

test('a journal that lost the reception still tells what it has', () => {
  const view = composeMessage(id, parts({ story: [{ at, event: 'delivered', id, recipient: 'ann@example.org' }] }))
  assert.deepEqual(
    view?.recipients.map(({ mailbox: one, state }) => [one, state]),
    [['ann@example.org', 'delivered']],
  )
})

test('nothing is known about a message that never was', () => {
  assert.equal(composeMessage(id, parts({})), undefined)
})

test('header edits are told one field a line', () => {
  assert.deepEqual(
    describeEdits([
      { kind: 'prepend', fields: 'X-A: 1\r\nX-B: 2\r\n' },
      { kind: 'remove', name: 'X-Spam' },
      { kind: 'remove', name: 'X-Spam', value: 'yes' },
      { kind: 'replace', name: 'subject', field: 'Subject: [spam] hello\r\n' },
    ]),
    ['add X-A: 1', 'add X-B: 2', 'remove X-Spam', 'remove X-Spam: yes', 'set Subject: [spam] hello'],
  )
})

test('a message that a content filter handed over says where it first came from', () => {
  const upstream = { name: 'mail.far.example', address: '192.0.2.7', helo: 'far', ident: '4Wxyz' }
  const fields = (view: ReturnType<typeof composeMessage>) =>
    view?.origin.filter(({ name }) => name === 'first came from').map(({ value }) => value)
  const line = 'mail.far.example[192.0.2.7] helo far as 4Wxyz'
  const waiting = { ...envelope, origin: { ...envelope.origin, upstream } }
  assert.deepEqual(fields(composeMessage(id, parts({ stored: { envelope: waiting, edits: [], locator } }))), [line])
  assert.deepEqual(fields(composeMessage(id, parts({ story: [{ ...received, upstream: line }] }))), [line])
})
