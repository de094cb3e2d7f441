import assert from 'node:assert/strict'
import { test } from 'node:test'

import { TableError } from '../config/tables.ts'
import { formatReply } from '../mail/reply.ts'
import { parseAliasValue } from './alias-value.ts'
import { resolveRecipient } from './expand.ts'
import { contextOf, mailbox } from './routing-fixture.ts'

const users = { users: { kind: 'table', table: inlineUsers('joe', 'ann', 'root', 'bob@b.org') } } as const

function inlineUsers(...list: readonly string[]) {
  return { name: 'users', source: { kind: 'inline', list }, at: { file: '', line: 0, column: 0 } } as const
}

/** Mailboxes with the kind of their first step, or the refusal. */
function answer(text: string, recipient: string): string {
  const resolution = resolveRecipient(contextOf(text, {}, users), mailbox(recipient))
  if (resolution.kind === 'rejected') return formatReply(resolution.reply)
  return resolution.recipients.map((one) => `${one.mailbox} ${one.route.kind}`).join(', ')
}

function aliases(map: string, method = 'maildir "/m/%{user.username}"'): string {
  return [
    `table t { ${map} }`,
    `action "box" ${method} alias <t>`,
    'action "out" relay',
    'match from any for domain a.org action "box"',
    'match from local for any action "out"\n',
  ].join('\n')
}

test('a known user is accepted, an unknown one is refused', () => {
  const text = aliases('x = y')
  assert.equal(answer(text, 'joe@a.org'), 'joe@a.org local')
  assert.equal(answer(text, 'JOE+lists@a.org'), 'JOE+lists@a.org local')
  assert.equal(answer(text, 'eve@a.org'), '550 5.1.1 Invalid recipient: <eve@a.org>')
  assert.equal(answer(text, 'x@far.org'), '550 5.7.1 Relaying denied')
})

test('users may be listed with their domain', () => {
  const text = 'action "box" maildir "/m"\nmatch from any for any action "box"\n'
  assert.deepEqual(
    [answer(text, 'bob@b.org'), answer(text, 'bob@a.org')].map((one) => one.slice(0, 9)),
    ['bob@b.org', '550 5.1.1'],
  )
})

test('an alias becomes its users and addresses, each once', () => {
  assert.equal(
    answer(aliases('team = "joe, ann, joe, far@x.org"'), 'team@a.org'),
    'joe@a.org local, ann@a.org local, far@x.org relay',
  )
  assert.equal(answer(aliases('"joe+work" = ann'), 'joe+work@a.org'), 'ann@a.org local')
  assert.equal(answer(aliases('postmaster = root, root = joe'), 'Postmaster@a.org'), 'joe@a.org local')
})

test('an alias that names himself ends there and still has the others', () => {
  assert.equal(answer(aliases('joe = joe'), 'joe@a.org'), 'joe@a.org local')
  assert.equal(answer(aliases('joe = "joe, ann"'), 'joe@a.org'), 'joe@a.org local, ann@a.org local')
})

test('aliases that only lead to each other, or too deep, are refused', () => {
  assert.equal(answer(aliases('a = b, b = a'), 'a@a.org'), '524 5.2.4 Mailing list expansion problem')
  const chain = Array.from({ length: 12 }, (_, index) => `u${index} = u${index + 1}`).join(', ')
  assert.equal(answer(aliases(`${chain}, u12 = joe`), 'u0@a.org'), '524 5.2.4 Mailing list expansion problem')
})

test('one unknown member refuses the whole alias, so that nothing is lost silently', () => {
  assert.equal(answer(aliases('team = "joe, eve"'), 'team@a.org'), '550 5.1.1 Invalid recipient: <eve@a.org>')
})

test('an alias may answer by itself', () => {
  assert.equal(answer(aliases('gone = "error:550 5.1.6 moved to x.org"'), 'gone@a.org'), '550 5.1.6 moved to x.org')
  assert.equal(answer(aliases('busy = ":error:421 come back"'), 'busy@a.org'), '421 4.2.1 come back')
  assert.equal(answer(aliases('cmd = "|/bin/cat"'), 'cmd@a.org').slice(0, 9), '451 4.3.5')
})

test('virtual users are looked up from the whole address to the catch-all', () => {
  const text = (map: string): string =>
    `table t { ${map} }\naction "box" maildir "/m" virtual <t>\nmatch from any for any action "box"\n`
  const all = '"joe+x@a.org" = joe, "ann@a.org" = ann, joe = root, "@a.org" = "root@a.org", "@" = ann, root = root'
  assert.equal(answer(text(all), 'joe+x@a.org'), 'root@a.org local')
  assert.equal(answer(text('"info@a.org" = joe'), 'info@a.org'), 'joe@a.org local')
  assert.equal(answer(text('"@a.org" = joe'), 'whoever@a.org'), 'joe@a.org local')
  assert.equal(answer(text('"info@a.org" = joe'), 'info@b.org'), '550 5.1.1 Invalid recipient: <info@b.org>')
})

test('a userbase says who exists, and one user for all needs no other user of the system', () => {
  const rule = 'match from any for any action "box"\n'
  const based = `action "box" maildir "/m" userbase { eve = "1:1:/h" }\n${rule}`
  assert.equal(answer(based, 'eve@a.org'), 'eve@a.org local')
  assert.equal(answer(based, 'joe@a.org').slice(0, 3), '550')
  const virtual = `action "box" maildir "/m" user vmail virtual { "info@a.org" = info }\n${rule}`
  assert.equal(answer(virtual, 'info@a.org'), 'info@a.org local')
})

test('expand-only needs an alias', () => {
  const text = aliases('team = far@x.org', 'expand-only')
  assert.equal(answer(text, 'team@a.org'), 'far@x.org relay')
  assert.equal(answer(text, 'joe@a.org').slice(0, 3), '550')
})

test('the user is verified behind the queues, and all copies start at the first of them', () => {
  const text = [
    'table t { team = "joe, far@x.org" }',
    'action "scan" relay host "queue://filter"',
    'action "box" maildir "/m/%{user.username}" alias <t>',
    'action "out" relay',
    'match tag Filtered for domain a.org action "box"',
    'match from local for any action "out"',
    'match from any for domain a.org action "scan"\n',
  ].join('\n')
  assert.equal(answer(text, 'eve@a.org'), '550 5.1.1 Invalid recipient: <eve@a.org>')
  assert.equal(answer(text, 'team@a.org'), 'joe@a.org stage, far@x.org stage')
})

test('a table that cannot be read is temporary', () => {
  const context = contextOf(aliases('x = y'))
  const gone = {
    ...context,
    tables: {
      ...context.tables,
      lookup: () => {
        throw new TableError('gone')
      },
    },
  }
  assert.throws(() => resolveRecipient(gone, mailbox('joe@a.org')), TableError)
})

test('values are split at commas outside of quotes', () => {
  assert.deepEqual(
    parseAliasValue('joe, "a,b"@x.org , :include:/f, we\\,ird').map((one) => `${one.kind} ${one.text}`),
    ['user joe', 'address a,b@x.org', 'include /f', 'unusable we,ird'],
  )
})
