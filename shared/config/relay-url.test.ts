import assert from 'node:assert/strict'
import { test } from 'node:test'

import { parseRelayUrl, queueOfHost, RelayUrlError } from './relay-url.ts'

test('the protocol decides the port and how TLS is used', () => {
  assert.deepEqual(parseRelayUrl('mx.example.org'), {
    kind: 'smtp',
    host: 'mx.example.org',
    port: 25,
    tls: 'opportunistic',
  })
  assert.deepEqual(parseRelayUrl('smtp+tls://me@h:587'), {
    kind: 'smtp',
    host: 'h',
    port: 587,
    tls: 'required',
    label: 'me',
  })
  assert.deepEqual(parseRelayUrl('SMTPS://[::1]'), { kind: 'smtp', host: '[::1]', port: 465, tls: 'implicit' })
  assert.deepEqual(parseRelayUrl('lmtp://dovecot:24'), { kind: 'lmtp', host: 'dovecot', port: 24, tls: 'never' })
})

test('queue:// names a queue', () => {
  assert.deepEqual(parseRelayUrl('queue://filter'), { kind: 'queue', name: 'filter' })
  assert.deepEqual([queueOfHost('queue://sign'), queueOfHost('smtp://sign')], ['sign', undefined])
})

test('a password cannot be sent without TLS, and nonsense is refused', () => {
  for (const text of [
    'smtp://me@h',
    'lmtp://h',
    'ftp://h',
    'smtp://',
    '',
    'smtp://h:0',
    'smtps://@h',
    'queue://',
    'queue://a/b',
  ]) {
    assert.throws(() => parseRelayUrl(text), RelayUrlError, text)
  }
})
