import assert from 'node:assert/strict'
import { test } from 'node:test'

import { featuresOf } from './features.ts'

function features(text: string): ReadonlySet<number> {
  return new Set(featuresOf(Buffer.from(text)))
}

function only(one: ReadonlySet<number>, other: ReadonlySet<number>): number {
  return [...one].filter((feature) => !other.has(feature)).length
}

const letter = 'From: Ann <ann@example.org>\r\nSubject: lunch\r\n\r\nSee you at noon in the garden.\r\n'

test('a message has the same features each time, each of them once', () => {
  const all = featuresOf(Buffer.from(letter))
  assert.deepEqual(featuresOf(Buffer.from(letter)), all)
  assert.equal(new Set(all).size, all.length)
  assert.ok(all.length > 15)
})

test('what a server on the way adds or takes away changes nothing', () => {
  const trace = `Return-Path: <ann@example.org>\r\nReceived: from a by b; Sat, 21 Nov 2026 10:00:00 +0000\r\nX-Spam-Flag: YES
Authentication-Results: mx.example.com; spf=fail\r\nDKIM-Signature: v=1; a=rsa-sha256\r\nX-Any-Thing: 1\r\n`
  assert.deepEqual(features(trace.replaceAll(/\r?\n/g, '\r\n') + letter), features(letter))
})

test('words hidden from a filter are found: letters between them that nobody sees, digits that look like letters', () => {
  const plain = features('\r\ncheap viagra\r\n')
  const invisible = features('\r\nch\u200beap via\u00adgra\r\n')
  assert.ok(only(plain, invisible) <= 1, 'all words of it')
  assert.ok(only(invisible, plain) >= 1, 'and that they were hidden')
  const one = features('\r\nv1agra\r\n')
  const other = features('\r\nvi4gra\r\n')
  assert.ok([...one].some((feature) => other.has(feature) && !features('\r\nhello\r\n').has(feature)))
})

test('numbers count by their length, dates and amounts do not tell collections of mail apart', () => {
  assert.deepEqual(features('\r\nin 2004 we paid 17.50\r\n'), features('\r\nin 2019 we paid 23.99\r\n'))
  assert.notDeepEqual(features('\r\npaid 17\r\n'), features('\r\npaid 17000\r\n'))
})

test('a sender who answers elsewhere or wears another address shows', () => {
  const honest = features('From: "Ann" <ann@example.org>\r\nReply-To: ann@example.org\r\n\r\nhi\r\n')
  const elsewhere = features('From: "Ann" <ann@example.org>\r\nReply-To: ann@example.net\r\n\r\nhi\r\n')
  const masked = features('From: "ann@bank.example" <x@example.org>\r\nReply-To: x@example.org\r\n\r\nhi\r\n')
  assert.ok(only(elsewhere, honest) >= 1)
  assert.ok(only(masked, honest) >= 1)
})
