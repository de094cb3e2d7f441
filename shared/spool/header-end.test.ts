import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { HeaderEnd } from './header-end.ts'

test('the header section ends behind the first empty line, however the content is cut into chunks', () => {
  const piece = fc.constantFrom('\r', '\n', '\r\n', '\r\n\r\n', 'a', 'Subject: x', '')
  fc.assert(
    fc.property(fc.array(piece), fc.array(fc.nat(5)), (pieces, cuts) => {
      const content = pieces.join('')
      const end = new HeaderEnd()
      let inHeader = 0
      for (const chunk of split(content, cuts)) inHeader += end.take(Buffer.from(chunk))
      assert.equal(end.headerBytes, expected(content))
      assert.equal(inHeader, end.headerBytes)
    }),
    { numRuns: 500 },
  )
})

function expected(content: string): number {
  if (content.startsWith('\r\n')) return 2
  const at = content.indexOf('\r\n\r\n')
  return at < 0 ? content.length : at + 4
}

function split(content: string, cuts: readonly number[]): readonly string[] {
  const chunks: string[] = []
  let rest = content
  for (const cut of cuts) {
    chunks.push(rest.slice(0, cut))
    rest = rest.slice(cut)
  }
  return [...chunks, rest]
}
