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

/** Of unbound 1.17.1, which had checked the signatures; each record is followed by its RRSIG. */
const ofUnbound = {
  tlsa:
    '098581a00001000200000001035f3235045f746370026d78067369676e656404746573740000340001' +
    `c00c0034000100000e100023030101${'ab'.repeat(32)}` +
    'c00c002e000100000e10005f00340d0500000e10e1b7b1006592008017c8067369676e656404746573740088b3d54ccd45bd5702c606dd90b73b' +
    '697b16fcd04eb0ef8b9dae94c6d9b256283ea3cf1206646869c33f4ae8e2230a02cf7db318302318be1dce6eec14193884' +
    '00002904d0000080000000',
  mx:
    '2d4681a00001000200000001067369676e6564047465737400000f0001c00c000f000100000e100007000a026d78c00c' +
    'c00c002e000100000e10005f000f0d0200000e10e1b7b1006592008017c8067369676e65640474657374003f6463a0dce1c9e01a1fe8603ad398' +
    '549a61d33516085f30df09fb63094732adce5e039809d6df47a2df5cd73b968881e191c9d9ec7c2b0182cf77006bbbe0ef' +
    '00002904d0000080000000',
}

test('the answers of a real validating resolver are read', () => {
  const tlsa = decodeAnswer(Buffer.from(ofUnbound.tlsa, 'hex'))
  assert.deepEqual(tlsa?.question, { name: '_25._tcp.mx.signed.test', type: 52 })
  assert.deepEqual([tlsa.authenticated, tlsa.code, tlsa.records.map(({ type }) => type)], [true, 0, [52, 46]])
  assert.equal(tlsa.records[0]?.data.toString('hex'), `030101${'ab'.repeat(32)}`)
  const mx = decodeAnswer(Buffer.from(ofUnbound.mx, 'hex'))
  assert.equal(mx?.authenticated, true)
  assert.equal(readName(mx.message, (mx.records[0]?.at ?? 0) + 2).name, 'mx.signed.test')
})
