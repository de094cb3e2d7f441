import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { belongsToSecret, formatScramSecret, parseScramSecret, scramSecretOf } from '../crypt/scram-secret.ts'
import { parseBearer } from './bearer.ts'
import { decoySecret, parseScramHello, scramExchange } from './scram.ts'
import { scramAnswer, scramHello } from './testing.ts'

const accepted = { kind: 'accepted', user: 'user' } as const

/** RFC 7677 section 3. */
const vector = {
  secret: scramSecretOf('pencil', Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'), 4_096),
  first: 'n,,n=user,r=rOprNGfwEbeRWgbNEkqO',
  nonce: '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0',
  challenge: 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
  final: 'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
  proof: 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
}

test('the exchange is that of RFC 7677', async () => {
  const hello = parseScramHello(Buffer.from(vector.first))
  assert.ok(hello !== undefined)
  const first = scramExchange(hello, vector.secret, accepted, vector.nonce)
  assert.ok(first.kind === 'challenge')
  assert.equal(first.challenge.toString(), vector.challenge)
  const second = await first.answer(Buffer.from(vector.final))
  assert.ok(second.kind === 'challenge')
  assert.equal(second.challenge.toString(), vector.proof)
  assert.deepEqual(await second.answer(Buffer.from('')), accepted)
})

test('a changed message, another nonce, channel binding or user proves nothing', async () => {
  for (const [from, to] of [
    ['p=dHzb', 'p=eHzb'],
    ['k0,p', 'k1,p'],
    ['c=biws', 'c=eSws'],
    [',p=', ',m=x,p='],
    [vector.final, ''],
    [vector.final, 'v=x'],
  ] as const) {
    const hello = parseScramHello(Buffer.from(vector.first))
    assert.ok(hello !== undefined)
    const step = scramExchange(hello, vector.secret, accepted, vector.nonce)
    assert.ok(step.kind === 'challenge')
    assert.deepEqual(
      await step.answer(Buffer.from(vector.final.replace(from, to))),
      { kind: 'refused' },
      `${from} ${to}`,
    )
  }
})

test('a user that is not there is asked the same each time, and never lets in', async () => {
  const key = Buffer.alloc(32, 1)
  const secret = decoySecret('ghost', key, 4_096)
  assert.deepEqual(decoySecret('ghost', key, 4_096), secret)
  assert.notDeepEqual(decoySecret('other', key, 4_096).salt, secret.salt)
  const hello = parseScramHello(Buffer.from(scramHello('ghost')))
  assert.ok(hello !== undefined)
  const step = scramExchange(hello, secret, { kind: 'refused' })
  assert.ok(step.kind === 'challenge')
  assert.deepEqual(await step.answer(scramAnswer('ghost', 'x', step.challenge)), { kind: 'refused' })
})

test('what is no first message, wants channel binding or an extension is none', () => {
  for (const text of [
    '',
    'n,,n=,r=x',
    'n,,n=user',
    'n,,r=x,n=user',
    'p=tls-unique,,n=user,r=x',
    'n,,m=x,n=user,r=x',
    'n,,n=us=er,r=x',
    'n,,n=user,r=a b',
  ])
    assert.equal(parseScramHello(Buffer.from(text)), undefined, text)
  const hello = parseScramHello(Buffer.from('y,a=a=3Db,n=a=2Cb,r=x'))
  assert.deepEqual([hello?.user, hello?.authzid], ['a,b', 'a=b'])
})

test('no first message, of SCRAM or with a token, makes the parser throw', () => {
  const sign = fc.constantFrom(...'ny=,arm|\0\x01 \tü'.split(''), 'n,,n=', 'auth=Bearer ', 'user=', '=2C')
  fc.assert(
    fc.property(fc.string({ unit: sign }), (text) => {
      const message = Buffer.from(text)
      const hello = parseScramHello(message)
      assert.ok(hello === undefined || (hello.user !== '' && message.toString() === `${hello.header}${hello.bare}`))
      for (const method of ['OAUTHBEARER', 'XOAUTH2'] as const) {
        const claim = parseBearer(method, message)
        assert.ok(claim === undefined || /^[\x21-\x7e]+$/.test(claim.token))
      }
    }),
    { numRuns: 500 },
  )
})

test('a secret is read as Dovecot and as PostgreSQL write it, and checks a password said in clear', () => {
  const secret = scramSecretOf('correct horse', undefined, 4_096)
  const [salt, stored, server] = [secret.salt, secret.storedKey, secret.serverKey].map((part) =>
    part.toString('base64'),
  )
  for (const text of [formatScramSecret(secret), `SCRAM-SHA-256$4096:${salt}$${stored}:${server}`]) {
    const parsed = parseScramSecret(text)
    assert.deepEqual(parsed, secret)
    assert.ok(parsed !== undefined && belongsToSecret('correct horse', parsed) && !belongsToSecret('x', parsed))
  }
  for (const text of ['{SCRAM-SHA-256}0,eA==,eA==,eA==', '{SCRAM-SHA-256}4096,eA==,eA==,eA==', '$6$x', ''])
    assert.equal(parseScramSecret(text), undefined, text)
})
