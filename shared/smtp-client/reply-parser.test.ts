import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import type { Reply } from '../mail/reply.ts'
import { ReplyParser, ReplySyntaxError, replyLimits } from './reply-parser.ts'

const line = fc.string({ unit: 'grapheme-ascii', maxLength: 80 }).filter((text) => !/^[245]\.\d/.test(text))

function wire({ code, enhanced, text }: Reply): string {
  const lines = text.split('\n')
  return lines
    .map((part, index) => {
      const separator = index === lines.length - 1 ? ' ' : '-'
      return `${code}${separator}${enhanced === undefined ? '' : `${enhanced} `}${part}\r\n`
    })
    .join('')
}

test('replies come out as they went in, wherever the network cuts them', () => {
  const reply = fc
    .record({
      first: fc.integer({ min: 2, max: 5 }),
      rest: fc.integer({ min: 0, max: 99 }),
      enhanced: fc.option(fc.tuple(fc.integer({ min: 0, max: 7 }), fc.integer({ min: 0, max: 999 }))),
      lines: fc.array(
        line.map((text) => text.trim()),
        { minLength: 1, maxLength: 5 },
      ),
    })
    .map(({ first, rest, enhanced, lines }): Reply => {
      const code = first * 100 + rest
      const text = lines.join('\n')
      // Class 3 has no enhanced codes (RFC 2034 §4).
      return enhanced === null || first === 3
        ? { code, text }
        : { code, enhanced: `${first}.${enhanced.join('.')}`, text }
    })
  fc.assert(
    fc.property(fc.array(reply, { maxLength: 6 }), fc.array(fc.nat(400), { maxLength: 20 }), (sent, cuts) => {
      const octets = Buffer.from(sent.map((one) => wire(one)).join(''))
      const parser = new ReplyParser()
      const read: Reply[] = []
      let start = 0
      for (const cut of cuts.sort((a, b) => a - b)) {
        if (cut <= start || cut >= octets.length) continue
        read.push(...parser.push(octets.subarray(start, cut)))
        start = cut
      }
      read.push(...parser.push(octets.subarray(start)))
      assert.deepEqual(read, sent)
    }),
  )
})

function repliesTo(chunk: Buffer): readonly Reply[] {
  return [...new ReplyParser().push(chunk)]
}

test('a reply without text, with bare LF or with a code of another class is still read', () => {
  assert.deepEqual(repliesTo(Buffer.from('250\r\n')), [{ code: 250, text: '' }])
  assert.deepEqual(repliesTo(Buffer.from('250 ok\n')), [{ code: 250, text: 'ok' }])
  assert.deepEqual(repliesTo(Buffer.from('450 5.1.1 mixed\r\n')), [{ code: 450, text: '5.1.1 mixed' }])
  assert.deepEqual(repliesTo(Buffer.from('550 5.1.1\r\n')), [{ code: 550, enhanced: '5.1.1', text: '' }])
})

test('what is no reply is refused', () => {
  for (const text of ['hello\r\n', '99 x\r\n', '600 x\r\n', '25x ok\r\n', '250_ok\r\n', '\r\n', 'HTTP/1.1 400 Bad\r\n'])
    assert.throws(() => repliesTo(Buffer.from(text)), ReplySyntaxError, text)
})

test('a reply counts whatever stands behind it', () => {
  const replies = new ReplyParser().push(Buffer.from('250 taken\r\nnonsense\r\n'))
  assert.deepEqual(replies.next().value, { code: 250, text: 'taken' })
  assert.throws(() => replies.next(), ReplySyntaxError)
})

test('an endless line or an endless reply is cut off', () => {
  const long = Buffer.from(`250 ${'x'.repeat(replyLimits.lineOctets)}`)
  assert.throws(() => repliesTo(long), ReplySyntaxError)
  const parser = new ReplyParser()
  assert.throws(() => [...parser.push(Buffer.from('250-more\r\n'.repeat(replyLimits.lines + 1)))], ReplySyntaxError)
})

test('control characters of a server never reach logs and reports', () => {
  const [reply] = repliesTo(Buffer.from('550 no\u0007 \u001b[31m\u0000user caf\u00e9\r\n'))
  assert.equal(reply?.text, 'no   [31m user café')
})

test('what stands before TLS does not count after it', () => {
  const parser = new ReplyParser()
  assert.deepEqual([...parser.push(Buffer.from('250-half\r\n250 o'))], [])
  parser.reset()
  assert.deepEqual([...parser.push(Buffer.from('220 ready\r\n'))], [{ code: 220, text: 'ready' }])
})
