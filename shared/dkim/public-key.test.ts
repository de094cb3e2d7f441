import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'

import { keyOf, parseKeyRecord } from './public-key.ts'

const rsa = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey
const spki = rsa.export({ type: 'spki', format: 'der' }).toString('base64')
const pkcs1 = rsa.export({ type: 'pkcs1', format: 'der' }).toString('base64')

test('an RSA key is read in both forms that are published', () => {
  for (const p of [spki, pkcs1]) {
    const key = parseKeyRecord(`v=DKIM1; p=${p}`)
    assert.equal(key.kind === 'key' && key.bits, 1024)
  }
})

test('an Ed25519 key is its 32 octets', () => {
  const key = parseKeyRecord('v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=')
  assert.equal(key.kind === 'key' && key.type, 'ed25519')
})

const unusable: readonly (readonly [string, string])[] = [
  ['v=DKIM1; p=', 'key revoked'],
  ['v=DKIM2; p=' + spki, 'unknown version of key record'],
  ['v=DKIM1; k=dsa; p=' + spki, 'unknown key type'],
  ['v=DKIM1; k=ed25519; p=' + spki, 'invalid public key'],
  ['v=DKIM1; s=tlsrpt; p=' + spki, 'key is not for mail'],
  ['v=DKIM1; p=%%%', 'invalid public key'],
  ['v=DKIM1; p=AAAA', 'invalid public key'],
  ['v=spf1 -all', 'unknown version of key record'],
  ['some text', 'key record has syntax errors'],
]

for (const [record, reason] of unusable)
  test(`'${record.slice(0, 24)}' is unusable: ${reason}`, () =>
    assert.deepEqual(parseKeyRecord(record), { kind: 'unusable', reason }))

test('among several records the one that is a key is taken, and parsed once', () => {
  const records = ['v=spf1 -all', `p=${spki}`]
  const key = keyOf(records)
  assert.equal(key.kind, 'key')
  assert.equal(keyOf(records), key)
})
