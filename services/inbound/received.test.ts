import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Mailbox } from '../../shared/mail/address.ts'
import { newMessageId } from '../../shared/mail/message-id.ts'
import { dateTime, receivedField } from './received.ts'

const at = Date.UTC(2026, 10, 21, 3, 22, 5)
const id = newMessageId(at)
const parts = {
  id,
  hostname: 'mx.example.org',
  extended: true,
  maskSource: false,
  showUser: false,
  at,
} as const

test('the field names client, server, protocol, id and the only recipient (RFC 5321 §4.4)', () => {
  const origin = { kind: 'smtp', address: '192.0.2.1', helo: 'client.example', rdns: 'c1.example' } as const
  assert.equal(
    receivedField({ ...parts, origin, recipient: 'jane@example.org' as Mailbox }),
    `Received: from client.example (c1.example [192.0.2.1])\r\n\tby mx.example.org with ESMTP\r\n\tid ${id}\r\n\tfor <jane@example.org>;\r\n\tSat, 21 Nov 2026 03:22:05 +0000\r\n`,
  )
})

test('TLS and AUTH are in the protocol keyword, the user only when asked for', () => {
  const origin = {
    kind: 'smtp',
    address: '2001:db8::1',
    helo: '[192.168.0.2]',
    user: 'jane(x)',
    tls: { version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384' },
  } as const
  const field = receivedField({ ...parts, origin })
  assert.match(field, /from \[192\.168\.0\.2\] \(\[IPv6:2001:db8::1\]\)/)
  assert.match(field, /with ESMTPSA \(TLSv1\.3 TLS_AES_256_GCM_SHA384\)\r\n/)
  assert.match(
    receivedField({ ...parts, origin, showUser: true }),
    /\)\r\n\t\(Authenticated sender: jane\\\(x\\\)\)\r\n\tby mx/,
  )
  const named = receivedField({ ...parts, origin: { kind: 'smtp', user: 'jäne' }, maskSource: true, showUser: true })
  assert.match(named, /^Received: \(Authenticated sender: j\?ne\)\r\n\tby mx\.example\.org with ESMTPA\r\n/)
})

test('mask-src leaves out where the message came from', () => {
  const origin = { kind: 'smtp', address: '192.0.2.1', helo: 'home.example' } as const
  assert.doesNotMatch(receivedField({ ...parts, origin, maskSource: true }), /192\.0\.2\.1|home|from/)
})

test('dates are RFC 5322 dates', () => {
  assert.equal(dateTime(Date.UTC(2026, 0, 2, 3, 4, 5)), 'Fri, 02 Jan 2026 03:04:05 +0000')
})
