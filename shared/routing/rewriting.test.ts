import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { CanonicalRule, RewritingSettings, Table } from '../config/model.ts'
import { TableError } from '../config/tables.ts'
import { formatReply } from '../mail/reply.ts'
import { explain, renderExplanation } from './explain.ts'
import { resolveForwardPath } from './forward-path.ts'
import { rewrittenAddress } from './rewriting.ts'
import type { AddressRole } from './rewriting.ts'
import { contextOf, mailbox } from './routing-fixture.ts'
import type { RoutingContext, Transaction } from './transaction.ts'

const at = { file: 'pipeline.conf', line: 1, column: 1 }
const rules = [
  'table known { tintin = "1:1:/h", "hergé" = "1:1:/h" }',
  'action "here" maildir userbase <known>',
  'action "out" relay',
  'match from any for domain { "ploplo.fr", "bd.ploplo.fr" } action "here"',
  'match from any for domain "partner.test" action "out"',
  'match from local for any action "out"',
].join('\n')

function map(entries: Readonly<Record<string, string>>): Table {
  return { name: 'names', source: { kind: 'inline', map: new Map(Object.entries(entries)) }, at }
}

const table = map({
  'tintin@ploplo.fr': 'Tintin.Reporter@ploplo.fr',
  haddock: 'capitaine.haddock',
  'milou+os@ploplo.fr': 'dog@ploplo.fr',
  milou: 'snowy@ploplo.fr',
  '@old.ploplo.fr': '@ploplo.fr',
  '@lost.test': 'postmaster@ploplo.fr',
  'a@chain.test': 'b@chain.test',
  'b@chain.test': 'c@chain.test',
  'x@round.test': 'y@round.test',
  'y@round.test': 'x@round.test',
  'z@bad.test': 'two@a.test, words@b.test',
})

function context(rewriting: Partial<RewritingSettings>, transaction: Partial<Transaction> = {}): RoutingContext {
  return contextOf(rules, transaction, { rewriting: { canonical: [], completeAddresses: true, ...rewriting } })
}

function canonical(changes: Partial<CanonicalRule> = {}): Pick<RewritingSettings, 'canonical'> {
  return { canonical: [{ of: 'both', table, in: 'both', clients: 'local', ...changes }] }
}

const sender: AddressRole = { of: 'sender', in: 'envelope' }
const recipient: AddressRole = { of: 'recipient', in: 'envelope' }
const from: AddressRole = { of: 'sender', in: 'headers' }

test('canonical: the address, the user of a domain of ours, or its domain has another address', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['tintin@ploplo.fr', 'Tintin.Reporter@ploplo.fr'],
    ['TINTIN@ploplo.fr', 'Tintin.Reporter@ploplo.fr'],
    ['tintin+bd@ploplo.fr', 'Tintin.Reporter+bd@ploplo.fr'],
    ['haddock@ploplo.fr', 'capitaine.haddock@mail.example.org'],
    ['haddock@mail.example.org', 'capitaine.haddock@mail.example.org'],
    ['haddock@elsewhere.test', 'haddock@elsewhere.test'],
    ['haddock@partner.test', 'haddock@partner.test'],
    ['milou+os@ploplo.fr', 'dog@ploplo.fr'],
    ['milou+x@ploplo.fr', 'snowy+x@ploplo.fr'],
    ['Anyone+x@old.ploplo.fr', 'Anyone+x@ploplo.fr'],
    ['tintin@old.ploplo.fr', 'Tintin.Reporter@ploplo.fr'],
    ['who@lost.test', 'postmaster@ploplo.fr'],
    ['a@chain.test', 'c@chain.test'],
    ['nobody@ploplo.fr', 'nobody@ploplo.fr'],
  ]
  for (const [address, expected] of cases)
    assert.equal(rewrittenAddress(context(canonical()), mailbox(address), sender), expected, address)
  const appended = context({ ...canonical(), appendDomain: 'ploplo.fr' })
  assert.equal(rewrittenAddress(appended, mailbox('haddock@ploplo.fr'), sender), 'capitaine.haddock@ploplo.fr')
})

test('canonical: a table that leads round in circles, or to no address, is a temporary failure', () => {
  for (const address of ['x@round.test', 'z@bad.test'])
    assert.throws(() => rewrittenAddress(context(canonical()), mailbox(address), sender), TableError)
})

test('canonical: statements apply in order, each to its class and place', () => {
  const cases: readonly (readonly [Partial<CanonicalRule>, AddressRole, Partial<Transaction>, boolean])[] = [
    [{ of: 'sender' }, sender, {}, true],
    [{ of: 'sender' }, recipient, {}, false],
    [{ of: 'recipient' }, recipient, {}, true],
    [{ of: 'recipient' }, sender, {}, false],
    [{ in: 'headers' }, sender, {}, false],
    [{ in: 'envelope' }, from, { peer: 'local' }, false],
    [{ in: 'headers' }, from, { peer: 'local' }, true],
    // A stranger's header stays what the stranger signed.
    [{}, from, {}, false],
    [{}, from, { user: 'tintin' }, true],
    [{}, from, { peer: { address: '127.0.0.1' } }, true],
    [{}, from, { peer: { address: '172.18.0.9', thisHost: true } }, true],
    [{ clients: 'any' }, from, {}, true],
  ]
  for (const [rule, role, transaction, applies] of cases) {
    const written = rewrittenAddress(context(canonical(rule), transaction), mailbox('tintin@ploplo.fr'), role)
    assert.equal(written !== 'tintin@ploplo.fr', applies, JSON.stringify([rule, role, transaction]))
  }
  const second = map({ 'tintin.reporter@ploplo.fr': 'reporter@ploplo.fr' })
  const both = context({ canonical: [...canonical().canonical, ...canonical({ table: second }).canonical] })
  assert.equal(rewrittenAddress(both, mailbox('tintin@ploplo.fr'), sender), 'reporter@ploplo.fr')
})

test('masquerade: hosts below a domain are hidden, but for exceptions, and never from recipients of the envelope', () => {
  const masquerade = {
    domains: [
      { name: 'info.ploplo.fr', hide: false },
      { name: 'compta.ploplo.fr', hide: false },
      { name: 'ploplo.fr', hide: true },
    ],
    except: { name: 'roots', source: { kind: 'inline', list: ['root'] }, at },
    clients: 'local',
  } as const
  const cases: readonly (readonly [string, AddressRole, string])[] = [
    ['milou@bd.ploplo.fr', sender, 'milou@ploplo.fr'],
    ['milou@a.b.ploplo.fr', sender, 'milou@ploplo.fr'],
    ['milou@info.ploplo.fr', sender, 'milou@info.ploplo.fr'],
    ['milou@pc.compta.ploplo.fr', sender, 'milou@pc.compta.ploplo.fr'],
    ['milou@ploplo.fr', sender, 'milou@ploplo.fr'],
    ['milou@notploplo.fr', sender, 'milou@notploplo.fr'],
    ['Root@bd.ploplo.fr', sender, 'Root@bd.ploplo.fr'],
    ['milou@bd.ploplo.fr', from, 'milou@ploplo.fr'],
    ['milou@bd.ploplo.fr', { of: 'recipient', in: 'headers' }, 'milou@ploplo.fr'],
    ['milou@bd.ploplo.fr', recipient, 'milou@bd.ploplo.fr'],
  ]
  for (const [address, role, expected] of cases)
    assert.equal(
      rewrittenAddress(context({ masquerade }, { peer: 'local' }), mailbox(address), role),
      expected,
      `${address} ${JSON.stringify(role)}`,
    )
  assert.equal(rewrittenAddress(context({ masquerade }), mailbox('milou@bd.ploplo.fr'), from), 'milou@bd.ploplo.fr')
  const canonicalFirst = context({
    masquerade,
    canonical: [{ ...canonical().canonical[0]!, table: map({ 'tintin@ploplo.fr': 'tintin@bd.ploplo.fr' }) }],
  })
  assert.equal(rewrittenAddress(canonicalFirst, mailbox('tintin@ploplo.fr'), sender), 'tintin@ploplo.fr')
})

test('RCPT asks the rules about the address that canonical gives, and explain says so', () => {
  const known = map({ 'reporter@old.test': 'tintin@ploplo.fr', 'gone@ploplo.fr': 'nobody@ploplo.fr' })
  const asked = context(canonical({ table: known }))
  const answer = resolveForwardPath(asked, mailbox('Reporter@old.test'), 0)
  assert.deepEqual(answer.kind === 'accepted' ? answer.recipients.map((one) => one.mailbox) : [], ['tintin@ploplo.fr'])
  const gone = resolveForwardPath(asked, mailbox('gone@ploplo.fr'), 0)
  assert.match(gone.kind === 'rejected' ? formatReply(gone.reply) : '', /^550 5\.1\.1 /)
  const told = renderExplanation(explain(asked, mailbox('reporter@old.test'), 0))
  assert.match(told, /^canonical: reporter@old\.test is tintin@ploplo\.fr\ntintin@ploplo\.fr, from 192\.0\.2\.1/)
})

test('explain shows the rules the sender that they will see', () => {
  const text = 'action "out" relay\nmatch from any mail-from "new@a.test" for any action "out"'
  const rewriting = { ...canonical({ table: map({ 'old@a.test': 'new@a.test' }) }), completeAddresses: true }
  const asked = contextOf(text, { reversePath: mailbox('old@a.test') }, { rewriting })
  assert.equal(explain(asked, mailbox('x@b.test'), 0).resolution.kind, 'accepted')
})
