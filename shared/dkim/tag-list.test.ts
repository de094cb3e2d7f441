import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { decodeBase64, parseTagList } from './tag-list.ts'

test('blanks and folding around names and values are not part of them', () => {
  assert.deepEqual(
    [...(parseTagList(' a = b\r\n\tc ;d=;') ?? [])],
    [
      ['a', 'b\tc'],
      ['d', ''],
    ],
  )
})

for (const text of ['a=1; a=2', 'a=1;; b=2', '=1', 'a', '1a=2', 'a-b=1', ''])
  test(`'${text}' is no tag list`, () => assert.equal(parseTagList(text), undefined))

test('any text is read without an exception', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      parseTagList(text)
      decodeBase64(text)
    }),
  )
})

test('what is no base64 is not decoded', () => {
  assert.equal(decodeBase64('ab*d'), undefined)
  assert.equal(decodeBase64(''), undefined)
  assert.equal(decodeBase64('Zm\t9v ')?.toString(), 'foo')
})
