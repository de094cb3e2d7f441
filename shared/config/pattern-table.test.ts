import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { parsePatternTable } from './pattern-table.ts'
import type { PatternFormat } from './pattern-table.ts'
import { TableFormatError } from './table-file.ts'

function lookups(format: PatternFormat, text: string, keys: readonly string[]): readonly (string | undefined)[] {
  const table = parsePatternTable(text, format)
  return keys.map((key) => table.lookup(key))
}

test('the first network that holds the address gives the value', () => {
  const text = [
    '# clients',
    '192.0.2.7      REJECT',
    '192.0.2.0/24   OK',
    '!2001:db8::/32 elsewhere',
    '::/0           ours,',
    '   and yours',
  ].join('\n')
  const keys = ['192.0.2.7', '192.0.2.8', '198.51.100.1', '2001:db8::1', '[IPv6:2001:db8::1]', 'mx.example.org']
  assert.deepEqual(lookups('cidr', text, keys), [
    'REJECT',
    'OK',
    'elsewhere',
    'ours, and yours',
    'ours, and yours',
    undefined,
  ])
})

test('the first expression that fits gives the value, with what its groups matched', () => {
  const text = [
    '/^postmaster@/          root',
    '!/@example\\.org$/      not ours: $1',
    '/^(.+)\\+(.+)@(.*)$/    ${2}.$(1)@$3 costs $$1',
    '/^A/i                   capital',
  ].join('\n')
  const keys = ['PostMaster@x', 'a@example.net', 'joe+list@example.org', 'a@example.org', 'A@example.org']
  assert.deepEqual(lookups('regexp', text, keys), [
    'root',
    'not ours: $1',
    'list.joe@example.org costs $1',
    undefined,
    'capital',
  ])
})

test('Perl expressions have their own words', () => {
  const text = '/^(?<user>[\\w.]+?)(?:-\\d{2,})?@old\\/b\\.org$/ $1@new.org\n'
  assert.deepEqual(lookups('pcre', text, ['j.doe-12@old/b.org', 'j-d@old/b.org']), ['j.doe@new.org', undefined])
})

test('lines between if and endif are looked at when its pattern fits', () => {
  const text = 'if /@a\\.org$/\n/^joe/ 1\nif !/^x/\n/./ 2\nendif\nendif\n/^x/ 3\n'
  assert.deepEqual(lookups('regexp', text, ['joe@a.org', 'ann@a.org', 'xy@a.org', 'joe@b.org']), [
    '1',
    '2',
    '3',
    undefined,
  ])
})

test('a fault is told with its line', () => {
  const faults: readonly (readonly [PatternFormat, string, number, RegExp])[] = [
    ['cidr', '10.0.0.0/8 a\n10.0.0.0/99 b\n', 2, /no network/],
    ['cidr', '10.0.0.0/8\n', 1, /no value/],
    ['regexp', '# x\njoe ann\n', 2, /between two slashes/],
    ['regexp', '/a/x b\n', 1, /flag "x"/],
    ['regexp', '/(a/ b\n', 1, /has no "\)"/],
    ['regexp', '/(a)/ $2\n', 1, /\$2: the expression has 1 groups/],
    ['regexp', '/a/,b c\n', 1, /a blank follows/],
    ['pcre', '/(?=a)/ b\n', 1, /no time limit/],
    ['pcre', '/a/\n', 1, /no value/],
    ['regexp', 'if /a/\n/b/ c\n', 1, /no "endif"/],
    ['regexp', '/b/ c\nendif\n', 2, /without an "if"/],
    ['regexp', 'if /a/ b\nendif\n', 1, /behind the pattern/],
  ]
  for (const [format, text, line, message] of faults) {
    assert.throws(
      () => parsePatternTable(text, format),
      (error) => error instanceof TableFormatError && error.line === line && message.test(error.message),
      text,
    )
  }
})

test('a bomb of an expression answers, and a key that is no address of any kind fits nothing', () => {
  const table = parsePatternTable('/^(a+)+$/ found\n', 'pcre')
  assert.equal(table.lookup(`${'a'.repeat(1000)}b`), undefined)
  assert.equal(table.lookup('a'.repeat(1024)), 'found')
  assert.equal(table.lookup('a'.repeat(1025)), undefined)
})

test('no text makes the parser throw anything but a fault with a line', () => {
  const piece = fc.constantFrom(
    '/',
    'a',
    '(',
    ')',
    '$1',
    ' ',
    '\n',
    '!',
    'if ',
    'endif',
    '10/8',
    '\\',
    'i',
    '#',
    '[',
    '*',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), fc.constantFrom('cidr', 'regexp', 'pcre'), (parts, format) => {
      try {
        parsePatternTable(parts.join(''), format).lookup('a')
      } catch (error) {
        assert.ok(error instanceof TableFormatError, String(error))
      }
    }),
    { numRuns: 500 },
  )
})
