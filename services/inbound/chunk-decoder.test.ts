import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { ChunkDecoder } from './chunk-decoder.ts'
import type { LineEndPolicy } from './data-decoder.ts'

function decode(policy: LineEndPolicy, chunks: readonly Buffer[]) {
  const decoder = new ChunkDecoder(policy)
  const content = chunks.map((chunk) => {
    assert.equal(decoder.feed(Buffer.from(chunk)), -1)
    return decoder.content
  })
  return { text: Buffer.concat([...content, decoder.end()]).toString('latin1'), bare: decoder.bareLineEnds }
}

const octets = fc.array(fc.constantFrom('\r', '\n', '\r\n', '.', 'a'), { maxLength: 30 }).map((parts) => parts.join(''))

/** The text cut at some places. */
const cut = fc.tuple(octets, fc.array(fc.nat(30), { maxLength: 5 })).map(([text, places]) => {
  const ends = [...places, text.length].filter((place) => place <= text.length).sort((one, other) => one - other)
  return { text, chunks: ends.map((end, index) => Buffer.from(text.slice(ends[index - 1] ?? 0, end))) }
})

test('however a message is cut into chunks, it is the message, and ends with a whole line', () => {
  fc.assert(
    fc.property(cut, ({ text, chunks }) => {
      const { text: decoded, bare } = decode('strict', chunks)
      assert.equal(bare, /\r(?!\n)|(?<!\r)\n/.test(text))
      if (bare) return
      assert.equal(decoded, text === '' || text.endsWith('\r\n') ? text : `${text}\r\n`)
    }),
  )
})

test('repaired, every line end is CR LF, wherever the chunks were cut', () => {
  fc.assert(
    fc.property(cut, ({ text, chunks }) => {
      const repaired = text.replaceAll(/\r\n|\r|\n/g, '\r\n')
      const whole = repaired === '' || repaired.endsWith('\r\n') ? repaired : `${repaired}\r\n`
      assert.equal(decode('normalise', chunks).text, whole)
    }),
  )
})
