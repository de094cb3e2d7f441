import assert from 'node:assert/strict'
import { test } from 'node:test'

import { HeaderLineEnds } from './header-line-ends.ts'

test('bare line ends among CR LF are seen in the header section only', () => {
  const cases: readonly (readonly [sent: string, mixed: boolean])[] = [
    ['A: 1\r\nB: 2\r\n\r\nbody\nbody\r\n', false],
    ['A: 1\nB: 2\n\nbody\r\nbody\n', false],
    ['A: 1\r\nB: 2\nX: hidden\r\n\r\n', true],
    ['A: 1\r\nB: 2\rX: hidden\r\n\r\n', true],
    ['A: 1\nB: 2\r\n\r\n', true],
    ['A: 1\r\n\n', true],
    ['\r\nA: 1\n', false],
    ['', false],
  ]
  for (const [sent, mixed] of cases)
    for (const size of [1, 2, 100]) {
      const seen = new HeaderLineEnds()
      for (let at = 0; at < sent.length; at += size) seen.feed(Buffer.from(sent.slice(at, at + size)))
      assert.equal(seen.mixed, mixed, JSON.stringify(sent))
    }
})
