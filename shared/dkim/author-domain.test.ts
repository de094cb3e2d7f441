import assert from 'node:assert/strict'
import { test } from 'node:test'

import { authorDomains } from './author-domain.ts'

const cases: readonly (readonly [string, readonly string[]])[] = [
  ['jane@Example.ORG', ['example.org']],
  ['Jane Doe <jane@example.org>', ['example.org']],
  ['"ceo@bank.example" <x@evil.example>', ['evil.example']],
  ['(ceo@bank.example) x@evil.example (again <a@b>)', ['evil.example']],
  ['"a \\" <q@quoted.example>" <x@evil.example>', ['evil.example']],
  ['a@one.example, B <b@two.example>', ['one.example', 'two.example']],
  ['friends: a@one.example, b@one.example;', ['one.example']],
  ['<@route.example,@b.example:x@evil.example>', ['evil.example']],
  ['"odd local"@example.org', ['example.org']],
  ['x@example.org.', ['example.org']],
  ['undisclosed-recipients:;', []],
  ['nobody', []],
  ['', []],
  [Buffer.from('José <j@Bücher.example>').toString('latin1'), ['xn--bcher-kva.example']],
  ['Unclosed <x@example.org', ['example.org']],
]

for (const [value, domains] of cases)
  test(`From: ${value} is by ${domains.join(' and ') || 'nobody'}`, () =>
    assert.deepEqual(authorDomains(value), domains))
