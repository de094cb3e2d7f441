import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { decodeAnswer, encodeQuery, readName } from './message.ts'

/** mx.far.test, MX 10 to a compressed `mail.far.test`; AD is set. */
const answer = Buffer.from(
  ['002a81a00001000100000000', '03666172047465737400000f0001', 'c00c000f00010000003c0009000a046d61696cc00c'].join(''),
  'hex',
)

test('a question asks for recursion and for checked signatures', () => {
  assert.equal(
    encodeQuery(42, 'Far.test.', 'TLSA').toString('hex'),
    ['002a01200001000000000001', '03466172047465737400', '00340001', '00002904d0000080000000'].join(''),
  )
})

test('what is no domain name is not asked for', () => {
  for (const name of ['', '.', 'a..b', `${'x'.repeat(64)}.test`, `${'x.'.repeat(130)}test`])
    assert.throws(() => encodeQuery(1, name, 'A'), RangeError, name)
})

test('an answer is read with its flags, and names in it are followed', () => {
  const read = decodeAnswer(answer)
  assert.ok(read !== undefined)
  assert.deepEqual([read.id, read.code, read.truncated, read.authenticated], [42, 0, false, true])
  assert.deepEqual(read.question, { name: 'far.test', type: 15 })
  const [record] = read.records
  assert.deepEqual([record?.type, record?.ttlSeconds, read.records.length], [15, 60, 1])
  assert.equal(readName(answer, (record?.at ?? 0) + 2).name, 'mail.far.test')
})

test('a name that leads round in a circle ends', () => {
  const looping = Buffer.from('002a818000010000000000000161c00c00010001', 'hex')
  assert.equal(decodeAnswer(looping), undefined)
})

test('whatever comes from the network is an answer or nothing', () => {
  const damaged = fc.tuple(fc.nat(answer.length - 1), fc.nat(255), fc.nat(answer.length)).map(([at, octet, length]) => {
    const message = Buffer.from(answer)
    message[at] = octet
    return message.subarray(0, length)
  })
  const anything = fc.uint8Array({ maxLength: 64 }).map((octets) => Buffer.from(octets))
  fc.assert(
    fc.property(fc.oneof(damaged, anything), (message) => {
      const read = decodeAnswer(message)
      return read === undefined || read.records.length <= message.readUInt16BE(6)
    }),
  )
})
