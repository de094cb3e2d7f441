import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { addressesIn, replaceAddresses } from './address-list.ts'

const lists: readonly (readonly [text: string, addresses: readonly string[]])[] = [
  ['jane@example.org', ['jane@example.org']],
  [' Jane Doe <jane@example.org>', ['jane@example.org']],
  ['"Doe, Jane" <jane@example.org>, john@example.org', ['jane@example.org', 'john@example.org']],
  ['jane@example.org (Jane, of <accounts>)', ['jane@example.org']],
  ['jane', ['jane']],
  ['"jane doe"@example.org', ['"jane doe"@example.org']],
  ['undisclosed-recipients:;', []],
  ['A Group:Ed Jones <joe@where.test>,john@one.test;, x@y.test', ['joe@where.test', 'john@one.test', 'x@y.test']],
  // RFC 5322 appendix A.5 and A.6
  [
    "Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>,\r\n Chris Jones <c@(Chris's host.)public.example>",
    ['pete@silly.test', 'c@public.example'],
  ],
  ['Joe Q. Public <john.q.public@example.com>', ['john.q.public@example.com']],
  ['<@node.test:mary@example.net>', []],
  ['jdoe@test . example', []],
  ['jane@[192.0.2.1], jane@[IPv6:::1]', ['jane@[192.0.2.1]', 'jane@[IPv6:::1]']],
  // Not understood
  ['Jane Doe', []],
  ['Jane <jane@example.org', []],
  ['jane@example.org> x', []],
  ['<>', []],
  ['a@b@c', []],
  ['@example.org', []],
  ['jane@', []],
  ['jane..doe@example.org', []],
  ['', []],
]

test('the addresses of a list are found, and nothing that is none', () => {
  for (const [text, addresses] of lists)
    assert.deepEqual(
      addressesIn(text).map((one) => one.text),
      addresses,
      text,
    )
})

test('an address is replaced where it stands, and names, comments and folding stay', () => {
  const other = new Map([
    ['jane@in.example.org', 'jane@example.org'],
    ['jane', 'jane@example.org'],
    ['pete@silly.test', 'peter@serious.test'],
    ['"a b"@x.test', 'ab@x.test'],
  ])
  const cases: readonly (readonly [string, string])[] = [
    [
      ' "jane@in.example.org" <jane@in.example.org>,\r\n\tJANE (jane@in.example.org) <jane>',
      ' "jane@in.example.org" <jane@example.org>,\r\n\tJANE (jane@in.example.org) <jane@example.org>',
    ],
    ['Pete <pete(his account)@ silly.test(his host)>', 'Pete <peter(his account)@ serious.test(his host)>'],
    ['list: jane@in.example.org;', 'list: jane@example.org;'],
    ['jane: jane;', 'jane: jane@example.org;'],
    ['"a b"@x.test', 'ab@x.test'],
    ['Jane jane@in.example.org', 'Jane jane@in.example.org'],
  ]
  for (const [text, expected] of cases)
    assert.equal(
      replaceAddresses(text, (address) => other.get(address)),
      expected,
    )
})

test('lines that grow are folded in time', () => {
  const text = Array.from({ length: 300 }, (_, index) => `user${index}`).join(', ')
  const written = replaceAddresses(text, (address) => `${address}@${'long.'.repeat(30)}example.org`)
  assert.ok(written.split('\r\n').every((line) => line.length < 998))
  assert.equal(
    written.replaceAll('\r\n', ''),
    text.replaceAll(/user\d+/g, (one) => `${one}@${'long.'.repeat(30)}example.org`),
  )
})

test('whatever a field holds, a text without changes stays as it is, and addresses are pieces of it', () => {
  const piece = fc.constantFrom(
    ...'jane|@|.|,|;|:|<|>|(|)|"|[|]|\\| |\t|\r\n |example.org|é|\u0000|<a@b.c>|"q s"|(c)'.split('|'),
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      const text = pieces.join('')
      assert.equal(
        replaceAddresses(text, (address) => address),
        text,
      )
      const found = addressesIn(text)
      for (const { local, domain } of found)
        assert.ok(local.start < local.end && local.end <= (domain?.start ?? text.length))
      const others = new Map(
        found.map((one) => [one.text, `${text.slice(one.local.start, one.local.end)}@new.example`]),
      )
      const marked = addressesIn(replaceAddresses(text, (address) => others.get(address)))
      assert.deepEqual(
        marked.map((one) => one.text),
        found.map((one) => others.get(one.text)),
      )
    }),
  )
})
