import assert from 'node:assert/strict'
import { test } from 'node:test'

import * as fc from 'fast-check'

import { WireReader } from './wire-reader.ts'

test('a message comes out the same however its octets were cut into chunks', () => {
  const text = fc.array(fc.constantFrom('.', '..', '\r', '\n', '\r\n', 'a', ' ', '\r\n.', '\r\n..x'), { maxLength: 40 })
  fc.assert(
    fc.property(text, fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 20 }), (parts, sizes) => {
      const content = `${parts.join('')}\r\n`
      const stuffed = content.replace(/^\./, '..').replaceAll('\r\n.', '\r\n..')
      const wire = Buffer.from(`${stuffed}.\r\nQUIT\r\n`)
      const reader = new WireReader()
      reader.expectContent()
      const got = []
      for (let at = 0, index = 0; at < wire.length; index++) {
        const size = sizes[index % sizes.length] as number
        reader.push(wire.subarray(at, at + size))
        at += size
        if (size > 5 && at < wire.length) continue
        for (let command = reader.next(); command !== undefined; command = reader.next()) got.push(command)
      }
      assert.equal(got.length, 2)
      assert.ok(got[0]?.kind === 'content' && got[0].content.toString() === content)
      assert.deepEqual(got[1], { kind: 'line', line: 'QUIT' })
    }),
  )
})

test('only CRLF dot CRLF ends the data', () => {
  const reader = new WireReader()
  reader.expectContent()
  reader.push(Buffer.from('a\n.\nb\r.\rc\n.\r\nd\r\n.\n'))
  assert.equal(reader.next(), undefined)
  reader.push(Buffer.from('\r\n.\r\n'))
  assert.equal(reader.next()?.kind, 'content')
})

test('an empty message ends at once', () => {
  const reader = new WireReader()
  reader.expectContent()
  reader.push(Buffer.from('.\r\n'))
  const content = reader.next()
  assert.ok(content?.kind === 'content' && content.content.length === 0)
})
