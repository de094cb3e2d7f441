import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { parsePostfixFile } from './postfix-file.ts'
import { TableFormatError } from './table-file.ts'

function entries(text: string): Readonly<Record<string, string>> {
  const content = parsePostfixFile(text)
  assert.equal(content.kind, 'map')
  return Object.fromEntries(content.kind === 'map' ? content.map : [])
}

test('a file for postmap is read as postmap reads it', () => {
  const text = [
    '# relays and clients',
    'Example.org   OK, with: colons',
    '@example.net  joe,',
    '\t ann',
    '   # a comment in between',
    ' eve',
    '[smtp.example.org]:587 user:secret',
    'smtp.example.org:587   user:secret',
    '2001:db8::1   REJECT',
  ].join('\r\n')
  assert.deepEqual(entries(text), {
    'example.org': 'OK, with: colons',
    '@example.net': 'joe, ann eve',
    '[smtp.example.org]:587': 'user:secret',
    'smtp.example.org:587': 'user:secret',
    '2001:db8::1': 'REJECT',
  })
})

test('a file for postalias is read as aliases(5) says', () => {
  const text = 'Postmaster: root\nroot:joe, ann\n"joe doe": joe\nlists : "|/bin/x y"\nteam:\n  :include:/etc/team\n'
  assert.deepEqual(entries(text), {
    postmaster: 'root',
    root: 'joe, ann',
    'joe doe': 'joe',
    lists: '"|/bin/x y"',
    team: ':include:/etc/team',
  })
})

test('of equal keys the first counts, and the other is told with its line', () => {
  const told: string[] = []
  const content = parsePostfixFile('a 1\n# x\nA 2\n', (key, line) => told.push(`${key} ${line}`))
  assert.deepEqual(content.kind === 'map' && content.map.get('a'), '1')
  assert.deepEqual(told, ['a 3'])
})

test('a key without a value is told with its line', () => {
  assert.throws(
    () => parsePostfixFile('a 1\n\nb\n'),
    (error) => error instanceof TableFormatError && error.line === 3 && error.message.includes('"b" has no value'),
  )
  assert.throws(() => parsePostfixFile('"" 1\n'), TableFormatError)
})

test('no text makes the parser throw anything but a fault with a line', () => {
  const piece = fc.constantFrom('a', ':', ' ', '\n', '\t', '"', '#', '[', ']', '25', ',', '\r', '__proto__')
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      try {
        parsePostfixFile(pieces.join(''))
      } catch (error) {
        assert.ok(error instanceof TableFormatError && error.line >= 1, String(error))
      }
    }),
    { numRuns: 500 },
  )
})
