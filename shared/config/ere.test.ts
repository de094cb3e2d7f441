import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { compileExpression, ExpressionError } from './ere.ts'

test('expressions are POSIX extended, unanchored and blind to case', () => {
  const cases: readonly (readonly [string, string, boolean])[] = [
    ['\\.org$', 'a.ORG', true],
    ['\\.org$', 'a.org.uk', false],
    ['^(mx|mail)[0-9]{1,2}\\.', 'mx12.a', true],
    ['^(mx|mail)[0-9]{1,2}$', 'mx123', false],
    ['[[:alpha:]]+@[^@]+', '12@x', false],
    ['[[:digit:]-]', '-', true],
    ['[]a]', ']', true],
    ['[^]a]', 'a', false],
    ['a||b', '', true],
    ['(?i)DYN', 'x.dyn.y', true],
    ['\\S+', ' x', true],
    ['^\\S+$', 'a b', false],
    ['a{2,}', 'aa', true],
    ['a{2,}', 'a', false],
    ['^.$', 'ab', false],
  ]
  for (const [pattern, subject, expected] of cases) {
    assert.equal(compileExpression(pattern).test(subject), expected, `${pattern} ${subject}`)
  }
})

test('what is no expression is refused with a reason', () => {
  for (const pattern of [
    '(',
    '[a',
    '*a',
    'a{2',
    'a{3,1}',
    'a\\',
    '(a)\\1',
    '[[:nope:]]',
    '[z-a]',
    '(?=a)',
    'a'.repeat(3000),
  ]) {
    assert.throws(() => compileExpression(pattern), ExpressionError, pattern)
  }
})

test('no expression takes more than linear time: the classic bombs answer at once', () => {
  assert.equal(compileExpression('^(a+)+$').test(`${'a'.repeat(4000)}b`), false)
  assert.equal(compileExpression('^(a|aa)*(a?){50}$').test(`${'a'.repeat(2000)}!`), false)
  assert.throws(() => compileExpression('((((a{200}){200}){200}){200})'), ExpressionError)
})

test('the answer is that of JavaScript where the languages agree', () => {
  const piece = fc.constantFrom('a', 'b', '.', 'a*', '(a|b)', '(ab)+', '[ab]', '[^a]', 'b?', 'a{1,2}', '^', '$', '|')
  const pattern = fc.array(piece, { maxLength: 8 }).map((parts) => parts.join(''))
  const subject = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 10 })
  fc.assert(
    fc.property(pattern, subject, (text, tested) => {
      assert.equal(compileExpression(text).test(tested), new RegExp(text, 'i').test(tested), `${text} on ${tested}`)
    }),
    { numRuns: 500 },
  )
})
