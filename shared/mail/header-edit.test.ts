import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { applyEdits, fieldValue, headerFields } from './header-edit.ts'

const section = Buffer.from('Received: one\r\n\tfolded\r\nX-Spam: Yes\r\nSubject: hello\r\nx-spam: no\r\n\r\n')

test('the latest prepended field stands on top', () => {
  const edited = applyEdits(section, [
    { kind: 'prepend', fields: 'A: 1\r\n' },
    { kind: 'prepend', fields: 'B: 2\r\n' },
  ])
  assert.equal(edited.toString(), `B: 2\r\nA: 1\r\n${section.toString()}`)
})

test('a forged field is removed in every spelling, or only where its value matches', () => {
  assert.equal(
    applyEdits(section, [{ kind: 'remove', name: 'X-SPAM' }]).toString(),
    'Received: one\r\n\tfolded\r\nSubject: hello\r\n\r\n',
  )
  assert.equal(
    applyEdits(section, [{ kind: 'remove', name: 'x-spam', value: 'Yes' }]).toString(),
    'Received: one\r\n\tfolded\r\nSubject: hello\r\nx-spam: no\r\n\r\n',
  )
})

test('edits apply in order: a field put on before a removal of its name goes, one put on after stays', () => {
  const remove = { kind: 'remove', name: 'X-Spam' } as const
  const prepend = { kind: 'prepend', fields: 'X-Spam: ours\r\n' } as const
  assert.ok(!applyEdits(section, [prepend, remove]).toString().includes('ours'))
  assert.ok(applyEdits(section, [remove, prepend]).toString().startsWith('X-Spam: ours\r\nReceived'))
})

test('a replaced field keeps its place, a missing one goes to the end of the section', () => {
  assert.equal(
    applyEdits(section, [{ kind: 'replace', name: 'subject', field: 'Subject: new\r\n' }]).toString(),
    'Received: one\r\n\tfolded\r\nX-Spam: Yes\r\nSubject: new\r\nx-spam: no\r\n\r\n',
  )
  assert.ok(
    applyEdits(section, [{ kind: 'replace', name: 'Date', field: 'Date: now\r\n' }])
      .toString()
      .endsWith('Date: now\r\n\r\n'),
  )
})

test('a section without its empty line, or with nothing but it, stays what it is', () => {
  const remove = [{ kind: 'remove', name: 'none' }] as const
  for (const text of ['', '\r\n', 'A: b\r\n', 'no field at all', 'A: b\r\n\r\n']) {
    assert.equal(applyEdits(Buffer.from(text), remove).toString(), text)
  }
})

test('no octet of any section is lost when nothing is edited', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom('A: b', ' fold', ':', '\r', '\n', '\r\n', 'é', 'x')), (parts) => {
      const header = Buffer.from(`${parts.join('').replaceAll('\r\n\r\n', '\r\n')}\r\n\r\n`)
      if (header.indexOf('\r\n\r\n') !== header.length - 4 || header.indexOf('\r\n') === 0) return
      assert.deepEqual(applyEdits(header, [{ kind: 'remove', name: 'none' }]), header)
    }),
  )
})

test('a folded value reads as one line', () => {
  const [first] = headerFields(section)
  assert.equal(first === undefined ? '' : fieldValue(first), 'one\tfolded')
})
