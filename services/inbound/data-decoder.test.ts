import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { DataDecoder } from './data-decoder.ts'
import type { LineEndPolicy } from './data-decoder.ts'

interface Decoded {
  readonly content: string
  readonly bare: boolean
  /** What was behind the end of data; absent when it was not reached. */
  readonly rest?: string
}

/** Feeds the text in pieces that end at `cuts`. */
function decode(text: string, policy: LineEndPolicy, cuts: readonly number[] = []): Decoded {
  const decoder = new DataDecoder(policy)
  const octets = Buffer.from(text, 'latin1')
  const edges = [...new Set([...cuts.map((cut) => cut % (octets.length + 1)), octets.length])].sort((a, b) => a - b)
  let content = ''
  let from = 0
  for (const to of edges) {
    if (to === from) continue
    const end = decoder.feed(Buffer.from(octets.subarray(from, to)))
    content += decoder.content.toString('latin1')
    if (end >= 0) return { content, bare: decoder.bareLineEnds, rest: text.slice(from + end) }
    from = to
  }
  return { content, bare: decoder.bareLineEnds }
}

const everyOctet = (text: string): number[] => Array.from({ length: text.length }, (_, index) => index + 1)

test('dots are un-stuffed and the end is found (RFC 5321 §4.5.2)', () => {
  const cases: readonly (readonly [sent: string, content: string])[] = [
    ['.\r\n', ''],
    ['a\r\n.\r\n', 'a\r\n'],
    ['\r\n.\r\n', '\r\n'],
    ['..\r\n.\r\n', '.\r\n'],
    ['...\r\n.\r\n', '..\r\n'],
    ['.text\r\n.\r\n', 'text\r\n'],
    ['. \r\n.\r\n', ' \r\n'],
    ['a\r\n..b\r\n..\r\n\r\n.\r\n', 'a\r\n.b\r\n.\r\n\r\n'],
    ['a.\r\n.\r\n', 'a.\r\n'],
  ]
  for (const policy of ['strict', 'normalise'] as const)
    for (const [sent, content] of cases)
      for (const cuts of [[], everyOctet(sent)])
        assert.deepEqual(decode(`${sent}QUIT\r\n`, policy, cuts), { content, bare: false, rest: 'QUIT\r\n' }, sent)
})

test('nothing but CR LF . CR LF ends the data (SMTP smuggling)', () => {
  const ends = ['\r\n', '\n', '\r', '\r\r\n', '\n\r', '\0\r\n', '\r\0\n', '\r\n\0', ' \r\n']
  for (const before of ends)
    for (const after of ends)
      for (const dots of ['.', '..']) {
        if (`${before}${dots}${after}`.includes('\r\n.\r\n')) continue
        const sent = `a${before}${dots}${after}MAIL FROM:<x@y.test>`
        for (const policy of ['strict', 'normalise'] as const) {
          const decoded = decode(`${sent}\r\n.\r\n`, policy, everyOctet(sent))
          assert.equal(decoded.rest, '', JSON.stringify(sent))
          if (policy === 'normalise') assert.doesNotMatch(decoded.content, /\r(?!\n)|(?<!\r)\n/)
        }
      }
})

test('a CR in front of CR LF . CR LF is a bare one, so the message is refused', () => {
  assert.equal(decode('a\r\r\n.\r\n', 'strict').bare, true)
})

test('bare line ends are seen wherever the network cuts', () => {
  for (const sent of ['a\nb', 'a\rb', '\n', '\rb', 'a\r\n.\nb', 'a\r\n.\rb', 'a\r\n.\r\rb', '.\nb', 'a\r\n\nb'])
    for (const cuts of [[], everyOctet(sent)]) {
      assert.equal(decode(`${sent}\r\n.\r\n`, 'strict', cuts).bare, true, JSON.stringify(sent))
      assert.equal(decode(`${sent}\r\n.\r\n`, 'normalise', cuts).bare, true, JSON.stringify(sent))
    }
})

test('bare line ends become CR LF on submission', () => {
  assert.equal(decode('a\nb\rc\r\n.\r\n', 'normalise').content, 'a\r\nb\r\nc\r\n')
  assert.equal(decode('a\n.\nb\r\n.\r\n', 'normalise').content, 'a\r\n.\r\nb\r\n')
  assert.equal(decode('a\n..b\r\n.\r\n', 'normalise').content, 'a\r\n..b\r\n')
})

/** Pieces that meet every transition. */
const octets = fc.array(fc.constantFrom('\r', '\n', '.', 'a', '\r\n', '\r\n.', '\r\n..', '\0'), { maxLength: 40 })

test('however the octets are cut into chunks, the result is the same', () => {
  fc.assert(
    fc.property(octets, fc.array(fc.nat(100), { maxLength: 10 }), fc.boolean(), (parts, cuts, strict) => {
      const text = `${parts.join('')}\r\n.\r\nQUIT`
      const policy = strict ? 'strict' : 'normalise'
      const whole = decode(text, policy)
      const pieces = decode(text, policy, cuts)
      assert.equal(pieces.rest, whole.rest)
      assert.equal(pieces.bare, whole.bare)
      if (!strict || !whole.bare) assert.equal(pieces.content, whole.content)
    }),
  )
})

test('a stuffed message comes out as it went in', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: fc.constantFrom('.', 'a', ' ', '\0', '\u00ff') })), (lines) => {
      const content = lines.map((line) => `${line}\r\n`).join('')
      const stuffed = lines.map((line) => `${line.startsWith('.') ? '.' : ''}${line}\r\n`).join('')
      assert.deepEqual(decode(`${stuffed}.\r\n`, 'strict'), { content, bare: false, rest: '' })
    }),
  )
})
