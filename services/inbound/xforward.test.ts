import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import type { SmtpClient } from '../../test/support/smtp-client.ts'
import { formatUpstream } from '../../shared/mail/envelope.ts'
import { testPipeline } from './testing.ts'
import type { TestInbound } from './testing.ts'
import { connected, dialogue, only, start } from './testing-session.ts'
import { parseXforward } from './xforward.ts'

test('XFORWARD: what is said of where a message came from, or nothing at all', () => {
  const cases: readonly (readonly [string, object | undefined])[] = [
    ['ADDR=192.0.2.7', { address: '192.0.2.7' }],
    ['addr=ipv6:2001:DB8:0::7 PORT=4711', { address: '2001:db8::7', port: 4711 }],
    ['NAME=Mail.example.net PROTO=ESMTP', { name: 'mail.example.net', protocol: 'ESMTP' }],
    ['HELO=[192.0.2.7]', { helo: '[192.0.2.7]' }],
    ['HELO=+28a+29+20<x>', { helo: '?a???x?' }],
    ['HELO=+C3+BC', { helo: '??' }],
    ['HELO=a+0D+0Ab', undefined],
    ['IDENT=4Wxyz', { ident: '4Wxyz' }],
    ['SOURCE=LOCAL', { source: 'local' }],
    ['source=remote', { source: 'remote' }],
    ['NAME=[UNAVAILABLE] ADDR=[UNAVAILABLE] PORT=[UNAVAILABLE] HELO=[UNAVAILABLE] PROTO=[TEMPUNAVAIL]', {}],
    ['', undefined],
    ['ADDR=2001:db8::7', undefined],
    ['ADDR=192.0.2.7 ADDR=192.0.2.8', undefined],
    ['PORT=65536', undefined],
    ['IDENT=a+0D+0Ab', undefined],
    ['IDENT=a+20b', undefined],
    ['PROTO=ES+20MTP', undefined],
    ['SOURCE=elsewhere', undefined],
    ['LOGIN=jane', undefined],
    ['__proto__=x', undefined],
  ]
  for (const [argument, expected] of cases) assert.deepEqual(parseXforward(argument), expected, argument)
})

test('attributes of several commands add up, and are taken back one by one', () => {
  const first = parseXforward('NAME=a.example ADDR=192.0.2.7')
  const both = parseXforward('HELO=x NAME=[UNAVAILABLE]', first)
  assert.deepEqual(both, { address: '192.0.2.7', helo: 'x' })
  assert.equal(formatUpstream(both ?? {}), 'unknown[192.0.2.7] helo x')
})

async function trusting(t: TestContext, network: string): Promise<[TestInbound, SmtpClient]> {
  const extensions = { smtpUtf8: true, trustedFilters: [network] }
  const inbound = await start(t, { configuration: { pipeline: { ...testPipeline, extensions } } })
  return [inbound, await connected(t, inbound)]
}

const message = [
  ['MAIL FROM:<a@example.net>', '250'],
  ['RCPT TO:<jane@example.org>', '250 2.1.5'],
  ['DATA', '354 '],
  ['Subject: x\r\n\r\nx\r\n.', '250 2.0.0'],
] as const

test('a content filter tells where a message first came from: it is recorded, and decides nothing', async (t) => {
  const [inbound, client] = await trusting(t, '127.0.0.0/8')
  assert.match(
    (await client.command('EHLO filter')).raw,
    /^250[ -]XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE\r?$/m,
  )
  await dialogue(client, [
    ['XFORWARD ADDR=nonsense', '501 5.5.4'],
    ['XFORWARD NAME=mail.example.net ADDR=192.0.2.7 PORT=4711', '250 2.0.0'],
    ['XFORWARD HELO=client.example.net PROTO=ESMTP IDENT=4Wxyz SOURCE=REMOTE', '250 2.0.0'],
    ...message,
  ])
  const { envelope, message: written } = only(inbound.accepted)
  assert.deepEqual(envelope.origin.upstream, {
    name: 'mail.example.net',
    address: '192.0.2.7',
    port: 4711,
    helo: 'client.example.net',
    protocol: 'ESMTP',
    ident: '4Wxyz',
    source: 'remote',
  })
  assert.deepEqual([envelope.origin.address, envelope.origin.helo], ['127.0.0.1', 'filter'])
  assert.match(written, /^Received: from filter \(localhost \[127\.0\.0\.1\]\)/)
  const received = inbound.told[inbound.events.indexOf('received')] as { readonly upstream?: string }
  assert.equal(received.upstream, 'mail.example.net[192.0.2.7]:4711 helo client.example.net by ESMTP as 4Wxyz')
})

test('what is told is for one message', async (t) => {
  const [inbound, client] = await trusting(t, '127.0.0.1')
  await dialogue(client, [
    ['XFORWARD ADDR=192.0.2.7', '250'],
    ...message,
    ...message,
    ['XFORWARD ADDR=192.0.2.8', '250'],
    ['RSET', '250'],
    ...message,
    ['XFORWARD ADDR=192.0.2.9', '250'],
    ['EHLO again', '250'],
    ...message,
  ])
  assert.deepEqual(
    inbound.accepted.map(({ envelope }) => envelope.origin.upstream?.address),
    ['192.0.2.7', undefined, undefined, undefined],
  )
})

test('not in the middle of a transaction, not from strangers, and where nobody is trusted it is no command', async (t) => {
  const [, client] = await trusting(t, '127.0.0.1')
  await dialogue(client, [
    ['MAIL FROM:<a@example.net>', '250'],
    ['XFORWARD ADDR=192.0.2.7', '503 5.5.1'],
  ])
  const [, stranger] = await trusting(t, '192.0.2.0/24')
  assert.doesNotMatch((await stranger.command('EHLO x')).raw, /XFORWARD/)
  await dialogue(stranger, [['XFORWARD ADDR=192.0.2.7', '550 5.7.0']])
  await dialogue(await connected(t, await start(t)), [['XFORWARD ADDR=192.0.2.7', '502 5.5.1']])
})

test('a client that is passed on by XCLIENT is no content filter', async (t) => {
  const extensions = { smtpUtf8: true, trustedClients: ['127.0.0.1'], trustedFilters: ['0.0.0.0/0'] }
  const inbound = await start(t, { configuration: { pipeline: { ...testPipeline, extensions } } })
  const client = await connected(t, inbound)
  await dialogue(client, [['XCLIENT ADDR=127.0.0.1', '220 ']])
  assert.doesNotMatch((await client.command('EHLO x')).raw, /XFORWARD|XCLIENT/)
  await dialogue(client, [['XFORWARD ADDR=192.0.2.7', '550 5.7.0']])
})
