import assert from 'node:assert/strict'
import { test } from 'node:test'

import { canonicalField, fieldsByName, selectedFields, signatureForHash } from './canonical-header.ts'
import { rawFields } from './raw-field.ts'

const example = rawFields(Buffer.from('A: X\r\nB : Y\t\r\n\tZ  \r\n\r\n'))

test('relaxed header: the example of RFC 6376 §3.4.5', () => {
  assert.equal(example.map((field) => canonicalField(field.raw, 'relaxed')).join(''), 'a:X\r\nb:Y Z\r\n')
})

test('simple header: the example of RFC 6376 §3.4.5', () => {
  assert.equal(example.map((field) => canonicalField(field.raw, 'simple')).join(''), 'A: X\r\nB : Y\t\r\n\tZ  \r\n')
})

test('the octet A0 in a header of UTF-8 is no blank', () => {
  const [field] = rawFields(Buffer.from('Subject: voil\u00e0 \u00e0\r\n'))
  assert.equal(
    Buffer.from(canonicalField(field?.raw ?? '', 'relaxed'), 'latin1').toString(),
    'subject:voil\u00e0 \u00e0\r\n',
  )
})

test('a name in h= takes the fields of that name from the bottom up, once each', () => {
  const fields = fieldsByName(rawFields(Buffer.from('To: first\r\nFrom: me\r\nTo: last\r\n')))
  assert.equal(selectedFields(fields, ['to', 'to', 'to', 'from'], 'relaxed'), 'to:last\r\nto:first\r\nfrom:me\r\n')
})

test('only the value of b= is taken out of a signature, wherever the tag stands', () => {
  const raw = 'DKIM-Signature: v=1; bh=b=x; b = ab\r\n\tcd ; d=b\r\n'
  assert.equal(signatureForHash(raw, 'simple'), 'DKIM-Signature: v=1; bh=b=x; b =; d=b')
  assert.equal(signatureForHash('DKIM-Signature: b=abc\r\n\t=\r\n', 'relaxed'), 'dkim-signature:b=')
})

test('a header of blanks only is read in linear time', () => {
  const raw = `X:${' \t'.repeat(500_000)}y\r\n`
  assert.equal(canonicalField(raw, 'relaxed'), 'x:y\r\n')
})
