import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { lineFeeds } from './line-feeds.ts'

async function through(pieces: readonly Buffer[]): Promise<string> {
  const came: Buffer[] = []
  for await (const piece of lineFeeds(each(pieces))) came.push(piece)
  return Buffer.concat(came).toString('latin1')
}

async function* each(pieces: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* pieces
}

test('wherever a message is cut, its lines end in LF, and nothing else changes', async () => {
  const octets = fc.array(fc.constantFrom('\r', '\n', '\r\n', 'x', 'ü', '.'), { maxLength: 40 })
  await fc.assert(
    fc.asyncProperty(octets, fc.array(fc.nat(8), { maxLength: 20 }), async (words, sizes) => {
      const whole = Buffer.from(words.join(''))
      const pieces: Buffer[] = []
      let at = 0
      for (const size of sizes) pieces.push(whole.subarray(at, (at += size)))
      pieces.push(whole.subarray(at))
      assert.equal(await through(pieces), whole.toString('latin1').replaceAll('\r\n', '\n'))
    }),
  )
})
