import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { parseMailbox } from '../mail/address.ts'
import type { Mailbox } from '../mail/address.ts'
import { mailbox } from './routing-fixture.ts'
import { decodeSrs, encodeSrs, isSrs } from './srs.ts'

const dayMs = 86_400_000
const srs = { key: 'topsecret', ttlDays: 4 }
const alice = mailbox('alice@example.org')
const at = Date.UTC(2026, 10, 21)

test('an address is the one OpenSMTPD writes', () => {
  assert.equal(encodeSrs(alice, 'exem.pl', srs, at), 'SRS0=NUWk=JK=example.org=alice@exem.pl')
  assert.equal(decodeSrs(mailbox('SRS0=NUWk=JK=example.org=alice@exem.pl'), srs, at), alice)
  assert.equal(decodeSrs(mailbox('srs0=NUWk=JK=example.org=alice@exem.pl'), srs, at), alice)
})

test('any sender comes back as it was, through one forwarder or three', () => {
  const user = fc.stringMatching(/^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,40}$/).filter((text) => !/^SRS[01]/i.test(text))
  const quoted = fc.stringMatching(/^[ -~]{1,20}$/).map((text) => `"${text.replaceAll(/["\\]/g, '\\$&')}"`)
  const domain = fc.constantFrom('a.org', 'mail.example.com', '[192.0.2.1]', 'xn--bcher-kva.example')
  fc.assert(
    fc.property(fc.oneof(user, quoted), domain, fc.nat(40_000), (local, of, day) => {
      const sender = parseMailbox(`${local}@${of}`)
      fc.pre(sender !== undefined && !isSrs(sender))
      const nowAt = day * dayMs
      const [one, two, three] = [srs, { ...srs, key: 'two' }, { ...srs, key: 'three' }]
      const first = encodeSrs(sender, 'one.org', one, nowAt)
      const second = encodeSrs(first, 'two.org', two, nowAt)
      const third = encodeSrs(second, 'three.org', three, nowAt)
      assert.match(third, /^"?SRS1=/)
      assert.equal(decodeSrs(first, one, nowAt), sender)
      assert.equal(decodeSrs(second, two, nowAt), first)
      // Straight back to the first forwarder.
      assert.equal(decodeSrs(third, three, nowAt), first)
    }),
  )
})

test('an address is good for its days, and for a clock that is a day ahead', () => {
  for (const day of [20_000, 1024 * 20, 1024 * 20 + 1, 1024 * 20 - 1]) {
    const written = encodeSrs(alice, 'exem.pl', srs, day * dayMs)
    const read = (later: number): Mailbox | undefined => decodeSrs(written, srs, (day + later) * dayMs)
    assert.deepEqual([-1, 0, 4].map(read), [alice, alice, alice])
    assert.deepEqual([-2, 5, 500].map(read), [undefined, undefined, undefined])
  }
})

test('the key of before still reads, and no other', () => {
  const written = encodeSrs(alice, 'exem.pl', { ...srs, key: 'old' }, at)
  assert.equal(decodeSrs(written, srs, at), undefined)
  assert.equal(decodeSrs(written, { ...srs, backupKey: 'old' }, at), alice)
})

test('what we did not write stands for nobody', () => {
  const written = 'SRS0=NUWk=JK=example.org=alice@exem.pl'
  const forged = [
    written.replace('NUWk', 'NUWj'),
    written.replace('NUWk', 'nuwk'),
    written.replace('alice', 'bob'),
    written.replace('exem.pl', 'other.pl'),
    written.replace('JK', 'JL'),
    'SRS0=@exem.pl',
    'SRS0=NUWk@exem.pl',
    'SRS1=NUWk=x@exem.pl',
    'joe@exem.pl',
  ]
  for (const address of forged) assert.equal(decodeSrs(mailbox(address), srs, at), undefined, address)
  fc.assert(
    fc.property(fc.string(), (text) => {
      assert.equal(decodeSrs(mailbox(`SRS0=${text}@exem.pl`), srs, at), undefined)
      assert.equal(decodeSrs(mailbox(`SRS1=${text}@exem.pl`), srs, at), undefined)
    }),
  )
})
