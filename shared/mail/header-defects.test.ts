import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { headerDefects } from './header-defects.ts'

const good = 'From: a@b.example\r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\nSubject: hello\r\n there\r\n\r\n'

test('a header as it should be has no defects', () => {
  assert.deepEqual(headerDefects(Buffer.from(good), false), [])
  assert.deepEqual(
    headerDefects(Buffer.from(`Received: x\r\nReceived: y\r\nComments: 1\r\nComments: 2\r\n${good}`), false),
    [],
  )
  assert.deepEqual(headerDefects(Buffer.alloc(0), false), [])
})

test('each defect is told by the name of its field', () => {
  const rows: readonly (readonly [string, readonly string[]])[] = [
    ['Subject: Grüße\r\n', ['subject holds characters that are not ASCII and not encoded']],
    ['Subject: a\rb\r\n', ['subject holds a bare CR or LF']],
    ['X-A: a\nb\r\n', ['x-a holds a bare CR or LF']],
    ['Date: 1\r\nDate: 2\r\n', ['date stands there 2 times']],
    ['X: a\0b\r\n', ['x holds a NUL']],
    ['no field\r\n', ['there is a line that is no field']],
    [`X: ${'x'.repeat(999)}\r\n`, ['a line of x is longer than 998 octets']],
    ['X: a\r\n  \r\n b\r\n', ['x is folded into a line of blanks only']],
  ]
  for (const [field, told] of rows) assert.deepEqual(headerDefects(Buffer.from(`${field}\r\n`), false), told, field)
  assert.deepEqual(headerDefects(Buffer.from('Subject: Grüße\r\n\r\n'), true), [], 'with SMTPUTF8')
})

test('any octets give few short sentences that quote nothing but names', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2_000 }), (octets) => {
      const defects = headerDefects(Buffer.from(octets), false)
      assert.ok(defects.length <= 10)
      for (const defect of defects) assert.match(defect, /^[\x20-\x7e]{1,160}$/)
    }),
  )
})
