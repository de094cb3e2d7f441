import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { compileExpression, ExpressionError } from './ere.ts'

test('groups tell what they matched, of the first match from the left', () => {
  const cases: readonly (readonly [pattern: string, subject: string, found: readonly string[] | undefined])[] = [
    ['^(.*)@old\\.org$', 'Joe@old.org', ['Joe@old.org', 'Joe']],
    ['(a+)(b*)', 'xaab', ['aab', 'aa', 'b']],
    ['(a)|(b)', 'b', ['b', '', 'b']],
    ['(a+?)b??', 'aab', ['a', 'a']],
    ['(?P<user>[\\w.-]+)@(?<domain>[^@\\s]+)', 'j.d@x.org', ['j.d@x.org', 'j.d', 'x.org']],
    ['\\bmx(\\d{1,2})\\b', 'a mx12.org', ['mx12', '12']],
    ['\\Bx\\z', 'x', undefined],
    ['a{', 'a{', ['a{']],
    ['(?:a|ab)(c|bcd)(d*)', 'abcd', ['abcd', 'bcd', '']],
  ]
  for (const [pattern, subject, found] of cases)
    assert.deepEqual(compileExpression(pattern, { perl: true }).find(subject), found, pattern)
})

test('case counts when it is asked for', () => {
  const sensitive = { caseSensitive: true }
  assert.equal(compileExpression('^[[:upper:]]b', sensitive).test('Ab'), true)
  assert.equal(compileExpression('^[[:upper:]]b', sensitive).test('ab'), false)
  assert.equal(compileExpression('^A', sensitive).test('a'), false)
  assert.equal(compileExpression('(?i)^A', { ...sensitive, perl: true }).test('a'), true)
})

test('what has no time limit in Perl is refused', () => {
  for (const pattern of ['(?=a)', '(?!a)', '(?<=a)b', '(?>a)', '(a)\\1', 'a++', '\\Qa\\E', '(?i:a)'])
    assert.throws(() => compileExpression(pattern, { perl: true }), ExpressionError, pattern)
})

test('groups are those of JavaScript where the languages agree', () => {
  const piece = fc.constantFrom('a', 'b', '.', 'a*', '(a|b)', '(ab)', '(a+?)', '[ab]', '(b?)', 'a{1,2}', '(a|ab)', 'c')
  const pattern = fc.array(piece, { maxLength: 7 }).map((parts) => parts.join(''))
  const subject = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 10 })
  fc.assert(
    fc.property(pattern, subject, (text, tested) => {
      const expected = new RegExp(text, 'i').exec(tested)
      const found = compileExpression(text, { perl: true }).find(tested)
      assert.deepEqual(found, expected === null ? undefined : [...expected], `${text} on ${tested}`)
    }),
    { numRuns: 1000 },
  )
})

test('groups take linear time, too', () => {
  const bomb = compileExpression('^((a+)+)+(a?){20}$', { perl: true })
  assert.equal(bomb.find(`${'a'.repeat(1000)}b`), undefined)
  assert.equal(bomb.find('a'.repeat(1000))?.[0]?.length, 1000)
})
