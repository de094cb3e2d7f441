import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Table } from '../config/model.ts'
import { formatReply } from '../mail/reply.ts'
import { explain, renderExplanation } from './explain.ts'
import { resolveForwardPath } from './forward-path.ts'
import { contextOf, mailbox } from './routing-fixture.ts'
import type { RoutingContext, Transaction } from './transaction.ts'

const rules = [
  'table known { joe = "1:1:/h", ann = "1:1:/h" }',
  'action "here" maildir userbase <known>',
  'action "out" relay',
  'match from any for domain "gone.org" reject',
  'match from any for domain { "exem.pl", "old.pl" } action "here"',
  'match from any for domain "backup.org" action "out"',
  'match from local for any action "out"',
].join('\n')

const entries = {
  'ann@exem.pl': 'ann@example.net',
  bob: 'bob@example.net, or call +33 1 23 45',
  '@old.pl': 'exem.pl',
  'Old.Joe@backup.org': 'joe@exem.pl',
  'x@gone.org': 'nowhere',
  'ann@far.org': 'ann@near.org',
  'ugly@exem.pl': ' caf\u{e9}\r\n250 ok ',
}
const relocated: Table = {
  name: 'moved',
  source: { kind: 'inline', map: new Map(Object.entries(entries)) },
  at: { file: 'pipeline.conf', line: 1, column: 1 },
}

function context(transaction: Partial<Transaction> = {}): RoutingContext {
  return contextOf(rules, transaction, { relocated })
}

function answer(recipient: string, transaction: Partial<Transaction> = {}): string {
  const resolution = resolveForwardPath(context(transaction), mailbox(recipient), 0)
  return resolution.kind === 'rejected' ? formatReply(resolution.reply) : 'accepted'
}

test('who has moved is refused with the new address, by the address or by the user alone', () => {
  assert.equal(answer('ann@exem.pl'), '550 5.1.6 User has moved to ann@example.net')
  assert.equal(answer('ANN+list@exem.pl'), '550 5.1.6 User has moved to ann@example.net')
  assert.equal(answer('bob@exem.pl'), '550 5.1.6 User has moved to bob@example.net, or call +33 1 23 45')
  assert.equal(answer('bob+x@old.pl'), '550 5.1.6 User has moved to bob@example.net, or call +33 1 23 45')
  assert.equal(answer('joe@old.pl'), '550 5.1.6 User has moved to exem.pl')
  assert.equal(answer('old.joe@backup.org'), '550 5.1.6 User has moved to joe@exem.pl')
})

test('who has not moved is answered as without the table', () => {
  assert.equal(answer('joe@exem.pl'), 'accepted')
  assert.match(answer('nobody@exem.pl'), /^550 5\.1\.1 /)
  assert.equal(answer('bob@backup.org'), 'accepted')
})

test('what the rules refuse stays refused as it was', () => {
  assert.match(answer('ann@far.org'), /^550 5\.7\.1 /)
  assert.match(answer('x@gone.org'), /^550 5\.7\.1 /)
  assert.equal(answer('ann@far.org', { peer: 'local' }), '550 5.1.6 User has moved to ann@near.org')
})

test('the text of a table cannot break the reply', () => {
  assert.equal(answer('ugly@exem.pl'), '550 5.1.6 User has moved to caf???250 ok')
})

test('explain shows the new address', () => {
  const told = renderExplanation(explain(context(), mailbox('ann@exem.pl'), 0))
  assert.match(told, /RCPT: .*550 5\.1\.6 User has moved to ann@example\.net/)
})
