import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { BareLineEndError, DotStuffer } from './dot-stuffing.ts'

function stuff(chunks: readonly Buffer[]): string {
  const stuffer = new DotStuffer()
  const pieces = chunks.flatMap((chunk) => stuffer.push(chunk))
  return Buffer.concat([...pieces, stuffer.end()]).toString('latin1')
}

/** What a receiver makes of it (RFC 5321 §4.5.2). */
function unstuff(wire: string): string {
  assert.ok(wire === '.\r\n' || wire.endsWith('\r\n.\r\n'))
  const end = `\r\n${wire}`.indexOf('\r\n.\r\n')
  assert.equal(end + 5, wire.length + 2, 'the end of the content is where it ends and nowhere else')
  return `\r\n${wire.slice(0, -3)}`.replaceAll('\r\n..', '\r\n.').slice(2)
}

function cutAt(content: Buffer, cuts: readonly number[]): Buffer[] {
  const chunks: Buffer[] = []
  let start = 0
  for (const cut of [...cuts].sort((a, b) => a - b)) {
    if (cut < start || cut > content.length) continue
    chunks.push(content.subarray(start, cut))
    start = cut
  }
  return [...chunks, content.subarray(start)]
}

const contents = fc.array(fc.constantFrom('.', '..', 'a', '\r\n', '\r\n.', '\r\n.\r\n', '', 'ü', '\r\n..'), {
  maxLength: 40,
})
const cuts = fc.array(fc.nat(60), { maxLength: 10 })

test('content arrives as it was, whatever dots it has and however it is cut', () => {
  fc.assert(
    fc.property(contents, cuts, (pieces, where) => {
      const content = Buffer.from(pieces.join(''))
      const expected = content.toString('latin1')
      const complete = expected === '' || expected.endsWith('\r\n') ? expected : `${expected}\r\n`
      assert.equal(unstuff(stuff(cutAt(content, where))), complete)
    }),
  )
})

test('no bare CR or LF ever reaches the wire', () => {
  const octets = fc.array(fc.constantFrom('\r', '\n', '\r\n', '.', 'a'), { maxLength: 30 })
  fc.assert(
    fc.property(octets, cuts, (pieces, where) => {
      const content = pieces.join('')
      const bare = /\r(?!\n)|(?<!\r)\n/.test(content)
      const send = (): string => stuff(cutAt(Buffer.from(content), where))
      if (bare) assert.throws(send, BareLineEndError)
      else assert.doesNotMatch(send(), /\r(?!\n)|(?<!\r)\n/)
    }),
  )
})
