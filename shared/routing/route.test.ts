import assert from 'node:assert/strict'
import { test } from 'node:test'

import { TableError } from '../config/tables.ts'
import type { RelayOrder } from '../mail/envelope.ts'
import { formatReply } from '../mail/reply.ts'
import { tag } from '../mail/tag.ts'
import { explain, renderExplanation } from './explain.ts'
import { journeyOf } from './journey.ts'
import { routeRecipient, type Route } from './route.ts'
import { contextOf, mailbox } from './routing-fixture.ts'
import type { Transaction } from './transaction.ts'

async function routed(text: string, recipient: string, transaction: Partial<Transaction> = {}): Promise<Route> {
  return routeRecipient({ ...contextOf(text, transaction), recipient: mailbox(recipient) })
}

async function end(text: string, recipient: string, transaction: Partial<Transaction> = {}): Promise<string> {
  const route = await routed(text, recipient, transaction)
  return route.kind === 'reject' ? formatReply(route.reply) : route.action
}

const relay = 'action "out" relay\n'

test('the first rule that matches decides, and the route names it', async () => {
  const text = `${relay}action "other" relay\nmatch from any for domain a.org action "out"\nmatch from any for any action "other"\n`
  assert.deepEqual(await routed(text, 'joe@a.org'), {
    kind: 'relay',
    action: 'out',
    destination: 'a.org',
    rule: { file: '/etc/mail/smtpd.conf', line: 3, column: 1, text: 'match from any for domain a.org action "out"' },
  })
  assert.equal(await end(text, 'joe@b.org'), 'other')
})

test('a refusal says whether the recipient or the relay is the trouble', async () => {
  const text = `${relay}match tag Never from any for domain a.org action "out"\nmatch from any for rcpt-to "bad@c.org" reject\n`
  assert.equal(await end(text, 'joe@a.org'), '550 5.1.1 Invalid recipient: <joe@a.org>')
  assert.equal(await end(text, 'joe@localhost'), '550 5.1.1 Invalid recipient: <joe@localhost>')
  assert.equal(await end(text, 'joe@far.org'), '550 5.7.1 Relaying denied')
  assert.equal(await end(text, 'bad@c.org'), '550 5.7.1 Invalid recipient: <bad@c.org>')
})

test('an order of an operator takes the place of where the rule relays to, and of nothing else', async () => {
  const text = `${relay}action "backup" relay host { "smtp://b.org:2525", "smtp://c.org" }
action "mail" maildir
action "scan" relay host "queue://filter"
match from any for domain here.org action "mail"
match from any for domain bad.org reject
match from any for domain scan.org action "scan"
match from any for any action "out"
`
  const ordered = (to: string, order: RelayOrder): Route =>
    routeRecipient({ ...contextOf(text), recipient: mailbox(to), order })
  const host = { kind: 'host', url: 'smtp://x.org' } as const
  const { rule: _, ...way } = ordered('joe@far.org', host) as Route & { kind: 'relay' }
  assert.deepEqual(way, { kind: 'relay', action: 'out', destination: 'smtp://x.org', order: host })
  const named = (name: string): unknown => {
    const route = ordered('joe@far.org', { kind: 'action', name })
    return route.kind === 'relay' ? [route.action, route.destination] : route.kind
  }
  assert.deepEqual(named('backup'), ['backup', 'smtp://b.org:2525'])
  assert.deepEqual(named('gone'), ['gone', 'far.org'], 'waits for an operator')
  assert.deepEqual(
    ['joe@here.org', 'joe@bad.org', 'joe@scan.org'].map((to) => ordered(to, host).kind),
    ['local', 'reject', 'stage'],
  )
})

test('every condition is asked of the right thing', async () => {
  const cases: readonly (readonly [string, Partial<Transaction>, boolean])[] = [
    ['from local', { peer: 'local' }, true],
    ['from local', { peer: { address: '10.9.9.1' } }, true],
    ['from local', { peer: { address: '0:0:0:0:0:0:0:1' } }, true],
    ['from local', {}, false],
    ['!from local', {}, true],
    ['from socket', { peer: { address: '127.0.0.1' } }, false],
    ['from src 192.0.2.0/24', {}, true],
    ['from src "local"', { peer: 'local' }, true],
    ['from rdns', {}, false],
    ['from rdns "*.dyn.org"', { peer: { address: '192.0.2.1', rdns: 'a.dyn.org' } }, true],
    ['!from rdns "*.dyn.org"', {}, false],
    ['from rdns regex "^[a-z]\\.dyn"', { peer: { address: '192.0.2.1', rdns: 'A.dyn.org' } }, true],
    ['from auth', { user: 'joe' }, true],
    ['from auth "ANN"', { user: 'ann' }, true],
    ['from auth "@a.org"', { user: 'ann@a.org' }, true],
    ['!from auth', {}, true],
    ['from any auth', { trusted: true }, true],
    ['from any helo "*.org"', { helo: 'a.ORG' }, true],
    ['from any helo "*"', {}, false],
    ['from any tls', { tls: true }, true],
    ['from any !tls', { tls: true }, false],
    ['from any tag filtered', { tags: [tag('Virus'), tag('Filtered')] }, true],
    ['from any tag { a, b }', { tags: [tag('Filtered')] }, false],
    ['from mail-from "@a.org"', { reversePath: mailbox('joe@a.org') }, true],
    ['from mail-from "@"', {}, true],
    ['from mail-from "@a.org"', {}, false],
    ['from any rcpt-to "joe@"', {}, true],
  ]
  for (const [condition, transaction, expected] of cases) {
    const text = `${relay}match ${condition} for any action "out"\n`
    assert.equal((await end(text, 'joe+x@far.org', transaction)) === 'out', expected, condition)
  }
})

test('"for local" is localhost, the server and its addresses', async () => {
  const text = `${relay}match from any for local action "out"\n`
  for (const domain of ['localhost', 'mail.example.org', '127.0.0.1', '[127.0.0.1]', '[IPv6:::1]']) {
    assert.equal(await end(text, `joe@${domain}`), 'out', domain)
  }
  assert.notEqual(await end(text, 'joe@example.org'), 'out')
})

test('a relay host is the lane of the job, and queue:// is a hop to a queue', async () => {
  const text = [
    'action "smart" relay host { "smtps://a.org", "smtps://b.org" }',
    'action "scan" relay host "queue://filter"',
    'action "table" relay domain { "c.org" = "lmtp://c:24" }',
    'match from any for domain a.org action "smart"',
    'match from any for domain b.org action "scan"',
    'match from any for any action "table"\n',
  ].join('\n')
  const smart = await routed(text, 'joe@a.org')
  assert.equal(smart.kind === 'relay' && smart.destination, 'smtps://a.org')
  const scan = await routed(text, 'joe@b.org')
  assert.deepEqual(scan.kind === 'stage' && [scan.queue, scan.tag, scan.action], ['filter', 'Filtered', 'scan'])
  const domain = await routed(text, 'joe@c.org')
  assert.equal(domain.kind === 'relay' && domain.destination, 'lmtp://c:24')
  await assert.rejects(routed(text, 'joe@unlisted.org'), TableError)
})

test('the address a content filter had is the queue that took its place', async () => {
  const route = await routed(
    'action "f" relay host "smtp://127.0.0.1:10026"\nmatch from any for any action "f"\n',
    'a@b.org',
  )
  assert.equal(route.kind === 'stage' && route.queue, 'sign')
})

const pipeline = [
  'action "scan" relay host "queue://filter"',
  'action "out" relay',
  'match tag Filtered for any action "out"',
  'match from any for any action "scan"\n',
].join('\n')

test('a queue hands the message back as local and with its tag', () => {
  const { steps } = journeyOf(contextOf(pipeline), mailbox('a@b.org'))
  assert.deepEqual(
    steps.map(({ transaction, route }) => [transaction.peer === 'local', transaction.tags, route.kind]),
    [
      [false, [], 'stage'],
      [true, ['Filtered'], 'relay'],
    ],
  )
})

test('a way that leads into the same queue again is refused, not followed', () => {
  const loop = 'action "scan" relay host "queue://filter"\nmatch from any for any action "scan"\n'
  const { last } = journeyOf(contextOf(loop), mailbox('a@b.org'))
  assert.equal(last.route.kind === 'reject' && last.route.reply.code, 554)
})

test('a copy made by an alias passes the queues of its original, then takes its own way', async () => {
  const text = [
    'action "scan" relay host "queue://filter"',
    'action "box" maildir "/m/%{user.username}"',
    'action "out" relay',
    'match tag Filtered for domain here.org action "box"',
    'match from local for any action "out"',
    'match from any for domain here.org action "scan"\n',
  ].join('\n')
  const request = { recipient: mailbox('joe@far.org'), original: mailbox('joe@here.org') }
  const first = routeRecipient({ ...contextOf(text), ...request })
  assert.equal(first.kind, 'stage')
  const next = routeRecipient({ ...contextOf(text, { peer: 'local', tags: [tag('Filtered')] }), ...request })
  assert.deepEqual(next.kind === 'relay' && [next.action, next.destination], ['out', 'far.org'])
})

test('explain tells for each rule what failed, and the whole way', () => {
  const text = renderExplanation(explain(contextOf(pipeline), mailbox('a@b.org'), 0))
  assert.equal(
    text,
    [
      'a@b.org, from 192.0.2.1, no tag',
      '  line 3: match tag Filtered for any action "out"',
      '    no: tag "Filtered"',
      '  line 4: match from any for any action "scan"',
      '    matches',
      '  => action "scan": queue "filter", comes back with tag Filtered',
      'a@b.org, from here, tag Filtered',
      '  line 3: match tag Filtered for any action "out"',
      '    matches',
      '  => action "out": relayed to b.org',
      'RCPT: accepted for a@b.org',
    ].join('\n'),
  )
})
