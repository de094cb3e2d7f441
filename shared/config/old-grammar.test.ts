import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import type { Action, Condition } from './model.ts'
import { parseText } from './oracle-fixture.ts'

const aliases = 'table a { root = joe }\n'

function rulesOf(text: string) {
  const { draft, diagnostics } = parseText(text, {}, { grammar: 'old' })
  const errors = diagnostics.filter((one) => one.severity === 'error').map((one) => one.message)
  assert.deepEqual(errors, [], text)
  return draft.rules.map(({ conditions, decision }) => ({
    conditions,
    action: decision.kind === 'action' ? draft.actions.get(decision.name) : undefined,
  }))
}

function actionOf(text: string): Action {
  const [rule] = rulesOf(text)
  assert.ok(rule?.action !== undefined, text)
  return rule.action
}

function told(text: string, severity: 'error' | 'warning' = 'error'): readonly string[] {
  const { diagnostics } = parseText(text, {}, { grammar: 'old' })
  return diagnostics
    .filter((one) => one.severity === severity)
    .map(({ code, span, hint }) => `${code}@${span.line}:${span.column}${hint === undefined ? '' : ` ${hint}`}`)
}

const words = ({ kind, not, authenticatedIsLocal }: Condition): string =>
  `${not ? '!' : ''}${kind}${authenticatedIsLocal === true ? '+auth' : ''}`

test('conditions stand in the order of their evaluation, and who is authenticated counts as local', () => {
  const cases: readonly (readonly [string, ...string[]])[] = [
    ['accept relay', 'from-local+auth', 'for-local'],
    ['accept for any from any tagged x relay', 'tag', 'from-any', 'for-any'],
    [
      'accept for ! domain x.org recipient ! "a@b.c" sender "@b.c" from ! source 192.0.2.1 ! authenticated tagged ! x relay',
      '!tag',
      '!auth',
      '!from-src+auth',
      'mail-from',
      '!rcpt-to',
      '!for-domain',
    ],
  ]
  for (const [text, ...expected] of cases) assert.deepEqual(rulesOf(text)[0]?.conditions.map(words), expected, text)
})

test('a delivery is an action of its own, and its name is the same wherever the rule stands', () => {
  const action = actionOf(`${aliases}accept for local alias <a> deliver to lmtp "/run/lmtp" rcpt-to as vmail expire 2d`)
  assert.equal(action.name, "alias <a> deliver to lmtp '/run/lmtp' rcpt-to as vmail expire 2d")
  assert.ok(action.kind === 'local')
  assert.deepEqual(action.method, { kind: 'lmtp', destination: '/run/lmtp', rcptTo: true })
  assert.deepEqual([action.user, action.alias?.name, action.ttlMs], ['vmail', 'a', 2 * 86_400_000])
})

test('a rule put above another does not change the name of its action', () => {
  const rule = 'accept for domain "x.org" relay via "smtp://mx.x.org" expire 1d'
  const named = actionOf(rule).name
  assert.equal(named, "relay via 'smtp://mx.x.org' expire 1d")
  const above = 'accept for domain "a.org" relay\naccept for domain "b.org" relay\n\n'
  const names = rulesOf(`${above}${rule}`).map(({ action }) => action?.name)
  assert.deepEqual(names, ['relay', 'relay (2)', named])
})

test('a rule without a delivery only expands', () => {
  const methods = ['accept for any', 'accept for any forward-only'].map((text) => {
    const action = actionOf(text)
    return action.kind === 'local' ? action.method.kind : action.kind
  })
  assert.deepEqual(methods, ['expand-only', 'forward-only'])
})

test('a relay URL keeps what it meant then, not what its word means today', () => {
  const cases: readonly (readonly [string, string, string | undefined])[] = [
    ['mx.org', 'smtp://mx.org', undefined],
    ['smtp+tls://mx.org', 'smtp://mx.org', undefined],
    ['tls://mx.org:587', 'smtp+tls://mx.org:587', 'no-verify'],
    ['tls://mx.org verify', 'smtp+tls://mx.org', 'verify'],
    ['smtps+auth://l@mx.org auth <a>', 'smtps://l@mx.org', 'no-verify'],
    ['secure://mx.org', 'smtps://mx.org smtp+tls://mx.org', 'no-verify'],
    ['"lmtp://[::1]:24"', 'lmtp://[::1]:24', undefined],
    ['"smtp://localhost:10024"', 'smtp://localhost:10024', undefined],
  ]
  for (const [url, hosts, tls] of cases) {
    const action = actionOf(`${aliases}accept for any relay via ${url}`)
    assert.ok(action.kind === 'relay' && action.host?.source.kind === 'inline')
    assert.deepEqual([action.host.source.list?.join(' '), action.tls], [hosts, tls], url)
  }
})

test('the options of a relay end in the action', () => {
  const action = actionOf(
    'accept for any relay backup "mx2.org" tls as "a@b.c" source 192.0.2.1 hostname h.org pki P ca C',
  )
  assert.ok(action.kind === 'relay')
  const { backup, tls, mailFrom, helo, pki, ca } = action
  assert.deepEqual([backup, tls, mailFrom, helo, pki, ca], [{ mx: 'mx2.org' }, 'no-verify', 'a@b.c', 'h.org', 'p', 'c'])
})

test('all settings end in the model', () => {
  const { draft, diagnostics } = parseText(
    [
      'expire 7d',
      'bounce-warn 1h, 6h',
      'max-message-size 104857600',
      'max-mta-deferred 7',
      'subaddressing-delimiter "-"',
      'ciphers "HIGH"',
      'limit session max-rcpt 50 max-mails 5',
      'limit mta inet4 max-conn-per-host 3',
      'limit mta for domain X.org inet6',
      'limit mda max-session 9',
      'pki x certificate "/c" key "/k" dhe auto',
      'ca y certificate "/ca"',
      'listen on eth0 tls hostname x mask-source',
      'listen on eth0 secure pki x',
      'accept for any relay',
    ].join('\n'),
    {},
    { grammar: 'old' },
  )
  assert.deepEqual(
    diagnostics.filter((one) => one.code !== 'no-effect').map((one) => one.code),
    ['portability'],
  )
  assert.equal(draft.queueTtlMs, 7 * 86_400_000)
  assert.deepEqual(draft.bounceWarnMs, [3_600_000, 6 * 3_600_000])
  assert.deepEqual([draft.maxMessageBytes, draft.maxRecipients, draft.maxMailsPerSession], [104_857_600, 50, 5])
  assert.deepEqual([draft.subAddressDelimiter, draft.ciphers, draft.limits.mtaMaxDeferred], ['-', 'HIGH', 7])
  assert.deepEqual([draft.limits.mtaFamily, draft.limits.mta.get('max-conn-per-host')], [4, 3])
  assert.equal(draft.limits.mtaDomains.get('x.org')?.family, 6)
  assert.equal(draft.cas.get('y'), '/ca')
  assert.deepEqual(
    draft.listeners.map(({ port, tls, pkis, maskSource }) => [port, tls, pkis.join(), maskSource]),
    [
      [25, 'offered', 'x', true],
      [25, 'offered', 'x', false],
      [465, 'implicit', 'x', false],
    ],
  )
})

test('as takes the place of the sender, or of either half', () => {
  for (const sender of ['joe@x.org', '@x.org', 'joe']) {
    const action = actionOf(`accept for any relay as "${sender}"`)
    assert.equal(action.kind === 'relay' && action.mailFrom, sender)
  }
})

test('secure:// means one host after the other, in this order', () => {
  const secure = actionOf('accept for any relay via secure://mx.org')
  assert.equal(secure.kind === 'relay' && secure.hostsInOrder, true)
  const other = actionOf('accept for any relay via smtps://mx.org')
  assert.equal(other.kind === 'relay' && other.hostsInOrder, undefined)
})

test('mistakes are told with their place and advice', () => {
  const cases: readonly (readonly [string, ...string[]])[] = [
    ['accept tag x for any relay', 'unknown-keyword@1:8 write `tagged`'],
    ['accept ! tagged x relay', 'syntax@1:8 write "!" behind it: tagged ! ...'],
    ['accept from "192.0.2.1" relay', 'syntax@1:13 write `from source` before addresses'],
    ['accept for any relay from any', 'syntax@1:22 one of: as, source, hostname, hostnames, pki, ca, backup, tls'],
    [
      `${aliases}accept for local deliver to maildir alias <a>`,
      'syntax@2:37 put "alias" between the conditions and the delivery',
    ],
    [
      `${aliases}accept alias <a> for local deliver to maildir`,
      'syntax@2:18 put "for" before alias, virtual, userbase, deliver and relay',
    ],
    [`${aliases}accept alias <a> relay`, 'conflict@2:18 remove it, or deliver'],
    ['accept deliver to maildir forward-only', 'conflict@1:27 remove "forward-only", or the delivery'],
    ['reject for any relay', 'conflict@1:16 remove it, or write `accept`'],
    ['accept for any relay via smtp://h verify', 'conflict@1:35 write tls:// or smtps://'],
    ['accept for any relay via "tls+auth://l@h"', 'incomplete@1:26 add `auth <table>` behind the URL'],
    ['accept for any relay as "@"', 'value@1:25 as "user@example.org", as "@example.org" or as user'],
    ['accept for any relay as "a b@x.org"', 'value@1:25 as "user@example.org", as "@example.org" or as user'],
    [
      'filter x y\naccept relay',
      'unsupported@1:1 remove it; the filters of 5.7 were withdrawn, those of 6.6 and later need the modern grammar',
    ],
    ['set expire 4d\naccept relay', 'old-grammar@1:1 drop the word `set`'],
    ['map "a" { source db "x" }\naccept relay', 'old-grammar@1:1 write `table`'],
    ['acept for any relay\naccept relay', 'unknown-keyword@1:1 did you mean "accept"?'],
    ['listen on lo proxy-v2\naccept relay', 'unknown-keyword@1:14'],
    ['listen on lo', 'no-rules@1:13 add a rule: accept for local deliver to maildir'],
  ]
  for (const [text, ...expected] of cases) {
    const found = told(text).map((one, index) => (one.startsWith(expected[index] ?? '\0') ? expected[index] : one))
    assert.deepEqual(found, expected, text)
  }
})

test('no file makes the parser throw', () => {
  const words = [
    'accept reject listen on lo for any from source relay via smtp://h ! { } tagged x < > " , = $x deliver to maildir lmtp',
    'alias table \\ pki certificate limit mta expire 5d 5 as tls verify secure port \u{A0}',
  ].flatMap((line) => line.split(' '))
  const word = fc.constantFrom('\n', ...words)
  fc.assert(fc.property(fc.array(word), (tokens) => void parseText(tokens.join(' '), {}, { grammar: 'old' })))
  fc.assert(fc.property(fc.string(), (text) => void parseText(`accept ${text}`, {}, { grammar: 'old' })))
})
