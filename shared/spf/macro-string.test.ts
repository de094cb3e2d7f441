import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { parseDomainSpec, parseExplanation, parseMacroString, transformed } from './macro-string.ts'
import type { Macro } from './macro-string.ts'

function macro(text: string): Macro {
  const [part] = parseMacroString(text) ?? []
  assert.ok(typeof part === 'object', text)
  return part
}

const transformations: readonly (readonly [string, string, string])[] = [
  ['%{d}', 'mail.north.example', 'mail.north.example'],
  ['%{d2}', 'mail.north.example', 'north.example'],
  ['%{d9}', 'mail.north.example', 'mail.north.example'],
  ['%{dr}', 'mail.north.example', 'example.north.mail'],
  ['%{d2R}', 'mail.north.example', 'north.mail'],
  ['%{l-}', 'jane-list-7', 'jane.list.7'],
  ['%{l1r-}', 'jane-list-7', 'jane'],
  ['%{l+-}', 'jane+a-b.c', 'jane.a.b.c'],
  ['%{l1_}', 'jane.doe', 'jane.doe'],
  ['%{S}', 'jane+a@north.example', 'jane%2Ba%40north.example'],
  ['%{L}', "o'neill~1", 'o%27neill~1'],
]

for (const [text, value, expected] of transformations)
  test(`${text} of ${value} is ${expected}`, () => assert.equal(transformed(macro(text), value), expected))

test('signs stand for themselves', () => {
  assert.deepEqual(parseMacroString('a%%b%_c%-'), ['a', '%', 'b', ' ', 'c', '%20'])
})

test('text that breaks the syntax is no macro-string', () => {
  for (const text of [
    '%',
    'a%b',
    '%{',
    '%{}',
    '%{x}',
    '%{d',
    '%{d0}',
    '%{d2rr}',
    '%{d:}',
    '%{2d}',
    'a b',
    'é',
    '%{c}',
    '%{T}',
  ])
    assert.equal(parseMacroString(text), undefined, text)
})

test('an explanation may have blanks and three letters more', () => {
  assert.deepEqual(parseExplanation('not from %{c}')?.[0], 'not from ')
  assert.equal(parseExplanation('at %{t} by %{r}')?.length, 4)
  assert.equal(parseExplanation('é'), undefined)
  assert.deepEqual(parseExplanation(''), [])
})

test('a domain-spec ends in a top label or a macro', () => {
  for (const text of ['a.example', 'a.example.', 'a.x-1', '%{d}', 'a.%{d2}', 'a:b/c.example', '_spf.1.9a'])
    assert.ok(parseDomainSpec(text), text)
  for (const text of ['', 'example', 'a.example..', 'a.7', 'a.-x', 'a.x-', 'a.', '%{d}.7', 'a.e_x', '%{d'])
    assert.equal(parseDomainSpec(text), undefined, text)
})

test('any text is read in linear time, or refused', () => {
  const piece = fc.constantFrom('%{d}', '%{', '%', '.', 'a', '1', '-', '}', ' ', '/', '%_')
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
      const parts = parseMacroString(pieces.join(''))
      if (pieces.includes('%{') || pieces.includes(' ')) return
      if (!pieces.includes('%')) assert.ok(parts, pieces.join(''))
    }),
  )
  const long = 'a1'.repeat(200_000)
  assert.equal(parseDomainSpec(`.${long}!`), undefined)
})
