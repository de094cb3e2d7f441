import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import type { Restriction } from '../../shared/config/model.ts'
import { SmtpClient } from '../../test/support/smtp-client.ts'
import { inlineMap, testPipeline } from './testing.ts'
import type { TestInbound, TestInboundOptions } from './testing.ts'
import { connected, dialogue, only, start } from './testing-session.ts'
import { parseXclient } from './xclient.ts'

test('XCLIENT: what is said of the client, or nothing at all', () => {
  const cases: readonly (readonly [string, object | undefined])[] = [
    ['ADDR=192.0.2.7', { address: '192.0.2.7' }],
    ['addr=ipv6:2001:DB8:0::7 PORT=4711', { address: '2001:db8::7', port: 4711 }],
    ['ADDR=IPV6:::ffff:192.0.2.7', { address: '192.0.2.7' }],
    ['NAME=Mail.example.net', { name: { name: 'mail.example.net', forward: 'pass' } }],
    ['NAME=[UNAVAILABLE] ADDR=[UNAVAILABLE]', { name: { forward: 'fail' }, address: '0.0.0.0' }],
    ['NAME=[TEMPUNAVAIL]', { name: { forward: 'error' } }],
    ['LOGIN=jane+40example.org', { user: 'jane@example.org' }],
    ['LOGIN=[UNAVAILABLE]', {}],
    ['HELO=client.example.net PROTO=ESMTP', { helo: 'client.example.net', extended: true }],
    ['PROTO=smtp HELO=[192.0.2.7]', { helo: '[192.0.2.7]', extended: false }],
    ['HELO=[UNAVAILABLE] PROTO=[UNAVAILABLE]', {}],
    ['REVERSE_NAME=host.example.net', { name: { name: 'host.example.net', forward: 'fail' } }],
    ['NAME=[TEMPUNAVAIL] REVERSE_NAME=host.example.net', { name: { name: 'host.example.net', forward: 'error' } }],
    ['REVERSE_NAME=a.example NAME=b.example', { name: { name: 'b.example', forward: 'pass' } }],
    ['DESTADDR=192.0.2.1 DESTPORT=25', { toAddress: '192.0.2.1', toPort: 25 }],
    ['DESTADDR=[UNAVAILABLE] DESTPORT=[UNAVAILABLE]', {}],
    ['', undefined],
    ['ADDR', undefined],
    ['ADDR=', undefined],
    ['ADDR=192.0.2.700', undefined],
    ['ADDR=2001:db8::7', undefined],
    ['ADDR=IPV6:fe80::1%eth0', undefined],
    ['ADDR=192.0.2.7 ADDR=192.0.2.8', undefined],
    ['PORT=65536', undefined],
    ['NAME=a+0D+0Ab', undefined],
    ['NAME=a..b', undefined],
    ['LOGIN=jane+0A', undefined],
    ['LOGIN=+C3+BC', undefined],
    ['HELO=a+20b', undefined],
    ['PROTO=LMTP', undefined],
    ['DESTADDR=x', undefined],
    ['DESTPORT=x', undefined],
    ['IDENT=x', undefined],
    ['__proto__=x', undefined],
    ['constructor=x', undefined],
  ]
  for (const [argument, expected] of cases) assert.deepEqual(parseXclient(argument), expected, argument)
})

const rcpt = ['RCPT TO:<jane@example.org>', '250 2.1.5'] as const
const content = [
  ['DATA', '354 '],
  ['Subject: x\r\n\r\nx\r\n.', '250 2.0.0'],
] as const

async function trusting(
  t: TestContext,
  network: string,
  options: TestInboundOptions = {},
): Promise<[TestInbound, SmtpClient]> {
  const extensions = { smtpUtf8: true, trustedClients: [network] }
  const inbound = await start(t, { ...options, configuration: { pipeline: { ...testPipeline, extensions } } })
  return [inbound, await connected(t, inbound)]
}

test('a trusted client speaks for another one: the session begins again as his', async (t) => {
  const [inbound, client] = await trusting(t, '127.0.0.0/8')
  assert.match(
    (await client.command('EHLO proxy')).raw,
    /^250[ -]XCLIENT NAME REVERSE_NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT\r?$/m,
  )
  await dialogue(client, [
    ['XCLIENT ADDR=nonsense', '501 5.5.4'],
    ['XCLIENT ADDR=192.0.2.7 PORT=4711 NAME=mail.example.net LOGIN=jane', '220 mx.sluice.test ESMTP'],
    ['MAIL FROM:<a@example.net>', '503 5.5.1'],
  ])
  assert.doesNotMatch((await client.command('EHLO client.example.net')).raw, /XCLIENT/)
  await dialogue(client, [['MAIL FROM:<a@example.net>', '250'], rcpt, ...content])
  const { envelope, message } = only(inbound.accepted)
  const { address, port, rdns, user, helo, thisHost } = envelope.origin
  assert.deepEqual(
    { address, port, rdns, user, helo, thisHost },
    {
      address: '192.0.2.7',
      port: 4711,
      rdns: 'mail.example.net',
      user: 'jane',
      helo: 'client.example.net',
      thisHost: undefined,
    },
  )
  assert.match(message, /^Received: from client\.example\.net \(mail\.example\.net \[192\.0\.2\.7\]\)/)
})

test('a client that is passed on cannot speak for others himself', async (t) => {
  const [, client] = await trusting(t, '0.0.0.0/0')
  await dialogue(client, [
    ['XCLIENT ADDR=192.0.2.7', '220 '],
    ['XCLIENT ADDR=127.0.0.1', '550 5.7.0'],
    ['EHLO x', '250'],
    ['XCLIENT ADDR=127.0.0.1', '550 5.7.0'],
  ])
})

test('HELO and PROTO count as if they had been said here, until EHLO is', async (t) => {
  const [inbound, client] = await trusting(t, '127.0.0.0/8')
  await dialogue(client, [
    ['XCLIENT ADDR=192.0.2.7 HELO=client.example.net PROTO=ESMTP', '220 mx.sluice.test ESMTP'],
    ['MAIL FROM:<a@example.net>', '250'],
    rcpt,
    ...content,
    ['EHLO proxy', '250'],
    ['MAIL FROM:<a@example.net>', '250'],
    rcpt,
    ...content,
  ])
  const [first, second] = inbound.accepted
  assert.match(first?.message ?? '', /^Received: from client\.example\.net \(\[192\.0\.2\.7\]\)\s+by \S+ with ESMTP/)
  assert.equal(second?.envelope.origin.helo, 'proxy')
  const old = await connected(t, inbound)
  await dialogue(old, [
    ['XCLIENT HELO=old.example PROTO=SMTP', '220'],
    ['MAIL FROM:<a@example.net>', '250'],
    rcpt,
    ...content,
  ])
  assert.match(inbound.accepted[2]?.message ?? '', /^Received: from old\.example .*\s+by \S+ with SMTP/)
})

test('this host has the name that belongs to the address the client connected to', async (t) => {
  const hostnames = inlineMap('names', { '192.0.2.1': 'other.sluice.test' })
  const [, client] = await trusting(t, '127.0.0.0/8', { listener: { hostnames } })
  await dialogue(client, [
    ['XCLIENT ADDR=192.0.2.7 DESTADDR=192.0.2.1 DESTPORT=25', '220 other.sluice.test ESMTP'],
    ['HELO x', '250 other.sluice.test'],
  ])
})

test('a name that is refused is refused in XCLIENT too', async (t) => {
  const restrictions: readonly Restriction[] = [
    {
      stage: 'helo',
      rule: { kind: 'helo', fault: 'non-fqdn' },
      text: '',
      at: { file: 'pipeline.conf', line: 3, column: 1 },
    },
  ]
  const pipeline = {
    ...testPipeline,
    extensions: { smtpUtf8: true, trustedClients: ['127.0.0.1'] },
    restrictions,
    delayRefusals: false,
  }
  const client = await SmtpClient.connect({ port: (await start(t, { configuration: { pipeline } })).port })
  t.after(() => client.destroy())
  await client.reply()
  await dialogue(client, [
    ['XCLIENT ADDR=192.0.2.7 HELO=nodots', '504 5.5.2'],
    ['MAIL FROM:<a@example.net>', '503 5.5.1'],
    ['EHLO client.example.net', '250'],
    ['MAIL FROM:<a@example.net>', '250'],
  ])
})

test('strangers speak for nobody, and where nobody is trusted it is no command', async (t) => {
  const [, stranger] = await trusting(t, '192.0.2.0/24')
  assert.doesNotMatch((await stranger.command('EHLO x')).raw, /XCLIENT/)
  await dialogue(stranger, [['XCLIENT ADDR=192.0.2.7', '550 5.7.0']])
  await dialogue(await connected(t, await start(t)), [['XCLIENT ADDR=192.0.2.7', '502 5.5.1']])
})

test('not in the middle of a transaction', async (t) => {
  const [, client] = await trusting(t, '127.0.0.1')
  await dialogue(client, [
    ['MAIL FROM:<a@example.net>', '250'],
    ['XCLIENT ADDR=192.0.2.7', '503 5.5.1'],
  ])
})

test('each client counts at his own address, and gives his place back', async (t) => {
  const limits = { connectionsPerAddress: 1 }
  const [inbound, first] = await trusting(t, '127.0.0.1', { limits })
  await dialogue(first, [['XCLIENT ADDR=192.0.2.7', '220 ']])
  const second = await connected(t, inbound)
  const turnedAway = inbound.nextEvent('disconnected')
  await dialogue(second, [['XCLIENT ADDR=192.0.2.7', '421 4.7.0 Too many connections']])
  await turnedAway
  const gone = inbound.nextEvent('disconnected')
  await first.quit()
  await gone
  const third = await connected(t, inbound)
  await dialogue(third, [['XCLIENT ADDR=192.0.2.7', '220 ']])
})
