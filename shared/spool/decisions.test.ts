import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Mailbox } from '../mail/address.ts'
import type { Recipient } from '../mail/envelope.ts'
import type { MessageId } from '../mail/message-id.ts'
import { lastDecisionAt, withDecisions } from './decisions.ts'
import type { OutcomeRecord } from './spool.ts'

const mailbox = (text: string): Mailbox => text as Mailbox
const target = { kind: 'command', text: 'vacation' } as const
const order = { kind: 'host', url: 'smtp://x.org' } as const
let at = 0

function made(kind: OutcomeRecord['kind'], more: Partial<OutcomeRecord> = {}): OutcomeRecord {
  at += 1
  return { id: '0mf4example000000a' as MessageId, recipient: 0, kind, stage: 'relay', at, ...more }
}

function after(recipient: Recipient, ...outcomes: readonly OutcomeRecord[]): Recipient | undefined {
  return withDecisions({ recipients: [recipient] }, outcomes).recipients[0]
}

test('a new address keeps what the sender asked for and whom he wrote to, and ends the order for the old one', () => {
  const asked = { orcpt: 'rfc822;joe@far.org', notify: ['success'] } as const
  const copy = { mailbox: mailbox('ann@b.org') }
  const first = after(
    { mailbox: mailbox('joe@a.org'), target, ...asked },
    made('rerouted', { order }),
    made('readdressed', { copy }),
  )
  assert.deepEqual(first, { ...copy, ...asked, original: 'joe@a.org', readdressed: true })
  const again = made('readdressed', { copy: { mailbox: mailbox('bob@c.org'), target } })
  assert.deepEqual(after({ mailbox: mailbox('joe@a.org') }, made('readdressed', { copy }), again), {
    mailbox: 'bob@c.org',
    target,
    original: 'joe@a.org',
    readdressed: true,
  })
  const expanded = { mailbox: mailbox('joe@a.org'), original: mailbox('staff@a.org') }
  assert.deepEqual(after(expanded, made('readdressed', { copy })), { ...copy, original: 'staff@a.org' })
})

test('the last order stands until it is undone; what is no decision changes nothing', () => {
  const joe = { mailbox: mailbox('joe@a.org') }
  const backup = { kind: 'action', name: 'backup' } as const
  assert.deepEqual(after(joe, made('rerouted', { order }), made('held'), made('rerouted', { order: backup })), {
    ...joe,
    order: backup,
  })
  assert.deepEqual(after(joe, made('rerouted', { order }), made('rerouted')), joe)
  const envelope = { recipients: [joe] }
  assert.equal(withDecisions(envelope, [made('held'), made('released')]), envelope)
  assert.equal(withDecisions(envelope, [made('rerouted', { recipient: 7, order })]).recipients.length, 1)
})

test('a decision counts for the recipients it is about', () => {
  const outcomes = [made('rerouted', { order }), made('rerouted', { recipient: 1 }), made('released')]
  assert.deepEqual(
    [[0], [1], [0, 1], [2]].map((recipients) => lastDecisionAt(outcomes, recipients)),
    [outcomes[0]?.at, outcomes[1]?.at, outcomes[1]?.at, undefined],
  )
})
