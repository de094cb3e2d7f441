import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import type { SmtpClient } from '../../test/support/smtp-client.ts'
import { testPipeline } from './testing.ts'
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
    ['HELO=x', undefined],
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
  assert.match((await client.command('EHLO proxy')).raw, /^250[ -]XCLIENT NAME ADDR PORT LOGIN$/m)
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
    ['XCLIENT ADDR=127.0.0.1', '550 5.7.1'],
    ['EHLO x', '250'],
    ['XCLIENT ADDR=127.0.0.1', '550 5.7.1'],
  ])
})

test('strangers speak for nobody, and where nobody is trusted it is no command', async (t) => {
  const [, stranger] = await trusting(t, '192.0.2.0/24')
  assert.doesNotMatch((await stranger.command('EHLO x')).raw, /XCLIENT/)
  await dialogue(stranger, [['XCLIENT ADDR=192.0.2.7', '550 5.7.1']])
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
