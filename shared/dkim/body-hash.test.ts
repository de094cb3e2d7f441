import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'

import fc from 'fast-check'

import { bodyHash } from './body-hash.ts'
import type { Canonicalization } from './canonical-header.ts'

const sha256 = (text: string): string => createHash('sha256').update(text, 'latin1').digest('base64')

function hashOf(form: Canonicalization, chunks: readonly Buffer[], limit?: number): string {
  const hash = bodyHash(form, 'sha256', limit)
  for (const chunk of chunks) hash.update(chunk)
  return hash.digest().base64
}

const cases: readonly (readonly [Canonicalization, string, string, string])[] = [
  ['relaxed', 'the example of RFC 6376 §3.4.5', ' C \r\nD \t E\r\n\r\n\r\n', ' C\r\nD E\r\n'],
  ['simple', 'the example of RFC 6376 §3.4.5', ' C \r\nD \t E\r\n\r\n\r\n', ' C \r\nD \t E\r\n'],
  ['simple', 'an empty body is one line end', '', '\r\n'],
  ['simple', 'a body of empty lines is one line end', '\r\n\r\n\r\n', '\r\n'],
  ['relaxed', 'an empty body is nothing', '', ''],
  ['relaxed', 'a body of blanks and empty lines is nothing', ' \r\n\t\r\n\r\n', ''],
  ['simple', 'a missing last line end is added', 'a', 'a\r\n'],
  ['relaxed', 'a missing last line end is added', 'a  b ', 'a b\r\n'],
  ['relaxed', 'empty lines in the middle stay', 'a\r\n\r\n \r\nb\r\n', 'a\r\n\r\n\r\nb\r\n'],
  ['relaxed', 'a carriage return alone is an octet like others', 'a \rb\r\r\n', 'a \rb\r\r\n'],
  ['simple', 'a carriage return alone is an octet like others', 'a\r', 'a\r\r\n'],
  [
    'relaxed',
    'a no-break space in latin1 or UTF-8 is no blank',
    'a\u00a0\u00a0b\u00a0\r\n',
    'a\u00a0\u00a0b\u00a0\r\n',
  ],
]

for (const [form, why, body, canonical] of cases) {
  test(`${form} body: ${why}`, () => {
    assert.equal(hashOf(form, [Buffer.from(body, 'latin1')]), sha256(canonical))
  })
}

/** RFC 6376 §3.4.3 and §3.4.4, word for word and slow. */
function reference(form: Canonicalization, body: string): string {
  if (form === 'simple') return `${body.replace(/(?:\r\n)*$/, '')}\r\n`
  const lines = body.split('\r\n').map((line) => line.replaceAll(/[ \t]+$/g, '').replaceAll(/[ \t]+/g, ' '))
  while (lines.at(-1) === '') lines.pop()
  return lines.length === 0 ? '' : `${lines.join('\r\n')}\r\n`
}

const body = fc
  .array(fc.constantFrom('\r\n', '\r\n', ' ', '\t', 'a', 'bc', '\r', '\n', '\u00a0', '\u00ff', '\u0000', '.'), {
    maxLength: 60,
  })
  .map((parts) => parts.join(''))

for (const form of ['simple', 'relaxed'] as const) {
  test(`${form} body: the hash is that of the RFC's text however the body is cut into chunks`, () => {
    fc.assert(
      fc.property(body, fc.array(fc.nat(60), { maxLength: 6 }), (text, cuts) => {
        const octets = Buffer.from(text, 'latin1')
        const at = [0, ...cuts.map((cut) => cut % (octets.length + 1)).sort((a, b) => a - b), octets.length]
        const chunks = at.slice(1).map((end, index) => octets.subarray(at[index], end))
        assert.equal(hashOf(form, chunks), sha256(reference(form, text)))
      }),
      { numRuns: 2000 },
    )
  })
}

test('l= hashes only so many octets of the canonical body and tells how many there are', () => {
  const hash = bodyHash('relaxed', 'sha256', 3)
  hash.update(Buffer.from('a  b\r\nmore\r\n'))
  assert.deepEqual(hash.digest(), { base64: sha256('a b'), octets: 11 })
})

test('millions of empty lines before the last word cost neither memory nor the hash', () => {
  const lines = Buffer.from('\r\n'.repeat(1_000_000))
  for (const form of ['simple', 'relaxed'] as const)
    assert.equal(hashOf(form, [lines, Buffer.from('x')]), sha256(`${'\r\n'.repeat(1_000_000)}x\r\n`))
})
