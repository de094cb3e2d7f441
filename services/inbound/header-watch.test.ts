import assert from 'node:assert/strict'
import { test } from 'node:test'

import { HeaderWatch } from './header-watch.ts'

function watch(text: string, pieceLength: number, limitBytes = 10_000): HeaderWatch {
  const seen = new HeaderWatch(limitBytes)
  const octets = Buffer.from(text)
  for (let at = 0; at < octets.length; at += pieceLength) seen.feed(octets.subarray(at, at + pieceLength))
  return seen
}

test('only the header section counts, however it is cut', () => {
  const text =
    'Received: a\r\n\tReceived: folded\r\nRECEIVED : b\r\nSubject: x\r\n\r\nReceived: body\r\n\r\nBcc: body\r\n\r\n'
  for (const pieceLength of [1, 2, 3, 4, 5, 7, 50, 1000]) {
    const facts = watch(text, pieceLength).facts()
    assert.equal(facts.hops, 2)
    assert.deepEqual([...facts.names], ['received', 'subject'])
  }
})

test('a message that starts with an empty line has no fields', () => {
  for (const pieceLength of [1, 2, 100]) assert.equal(watch('\r\nBcc: x\r\n\r\n', pieceLength).facts().names.size, 0)
})

test('a message without a body is all header', () => {
  assert.deepEqual([...watch('Date: x\r\nFrom: y', 4).facts().names], ['date', 'from'])
  assert.equal(watch('', 1).facts().hops, 0)
})

test('the From field is read with its folding', () => {
  assert.equal(
    watch('From: Jane\r\n <jane@example.org>\r\nTo: x\r\n\r\n', 7).facts().from,
    ' Jane\r\n <jane@example.org>',
  )
})

test('the Message-ID is told without its folding, and the first one counts', () => {
  const text = 'Message-ID:\r\n <a@example.org>\r\nmessage-id: <b@example.org>\r\n\r\nMessage-ID: <c@example.org>\r\n'
  assert.equal(watch(text, 9).facts().messageId, '<a@example.org>')
  assert.equal(watch('Subject: x\r\n\r\n', 9).facts().messageId, undefined)
  assert.equal(watch(`Message-ID: <${'x'.repeat(500)}>\r\n\r\n`, 9).facts().messageId?.length, 256)
})

test('a header section without end is cut at the limit', () => {
  const seen = watch(`X: ${'y'.repeat(500)}\r\n`.repeat(10), 64, 1000)
  assert.equal(seen.tooLong, true)
  assert.equal(watch(`X: y\r\n\r\n${'z'.repeat(5000)}`, 64, 1000).tooLong, false)
})
