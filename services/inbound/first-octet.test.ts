import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { SmtpClient } from '../../test/support/smtp-client.ts'
import type { ClientOptions } from '../../test/support/smtp-client.ts'
import { clientHelloWaitMs } from '../../shared/config/session-rules.ts'
import { firstOctet } from './first-octet.ts'
import { credentials, testPipeline } from './testing.ts'
import type { TestInbound, TestInboundOptions } from './testing.ts'
import { connected, start } from './testing-session.ts'

test('the first octet is seen and stays', async () => {
  const socket = new PassThrough()
  const octet = firstOctet(socket, 60_000)
  socket.write(Buffer.from([0x16, 0x03, 0x01]))
  assert.equal(await octet, 0x16)
  assert.deepEqual([...(socket.read() as Buffer)], [0x16, 0x03, 0x01])
  assert.equal(await firstOctet(socket, 1), undefined)
  const over = firstOctet(socket, 60_000)
  socket.destroy()
  assert.equal(await over, undefined)
})

test('a ClientHello is awaited on port 465 with tls-require, and where it is said', () => {
  assert.equal(clientHelloWaitMs({ port: 465, tls: 'required' }, {}), 1_000)
  assert.equal(clientHelloWaitMs({ port: 465, tls: 'required' }, { clientHelloMs: 0 }), undefined)
  assert.equal(clientHelloWaitMs({ port: 587, tls: 'required' }, {}), undefined)
  assert.equal(clientHelloWaitMs({ port: 587, tls: 'required' }, { clientHelloMs: 50 }), 50)
  for (const tls of ['none', 'offered', 'implicit'] as const)
    assert.equal(clientHelloWaitMs({ port: 465, tls }, { clientHelloMs: 50 }), undefined)
})

/** As port 465 of the seed: `tls-require` and `auth`. */
function seed465(t: TestContext, clientHelloMs: number, options: TestInboundOptions = {}): Promise<TestInbound> {
  const sessions = [{ at: { file: 'pipeline.conf', line: 1, column: 1 }, settings: { clientHelloMs } }]
  const pipeline = { ...testPipeline, sessions, ...options.configuration?.pipeline }
  const listener = { tls: 'required', auth: { kind: 'required', table: credentials }, ...options.listener } as const
  return start(t, { ...options, listener, configuration: { pipeline } })
}

/** Logs in, and has a message taken. */
async function submits(
  t: TestContext,
  inbound: TestInbound,
  how: Partial<ClientOptions> & { readonly starttls?: boolean },
) {
  const client = await connected(t, inbound, { user: 'jane', password: 'secret', ...how })
  const sent = await client.send({
    from: 'jane@example.org',
    to: ['john@example.org'],
    content: 'Subject: x\r\n\r\nx\r\n',
  })
  assert.equal(sent.code, 250)
  await client.quit()
  const { envelope, message } = inbound.accepted.at(-1) ?? {}
  assert.match(message ?? '', /with ESMTPSA/)
  return envelope
}

test('a client that begins with TLS and one that waits for STARTTLS are both served', async (t) => {
  const inbound = await seed465(t, 60_000)
  assert.match(inbound.listens[0] ?? '', /STARTTLS or TLS required/)
  for (let times = 0; times < 2; times += 1) await submits(t, inbound, { implicitTls: true })
  assert.equal(inbound.events.filter((name) => name === 'secured').length, 2)
  const hasty = await seed465(t, 20)
  await submits(t, hasty, { starttls: true })
  const plain = await connected(t, hasty)
  assert.equal((await plain.command('MAIL FROM:<a@example.net>')).code, 530)
})

test('in TLS from the start there is no STARTTLS, and AUTH at once', async (t) => {
  const inbound = await seed465(t, 60_000)
  const client = await connected(t, inbound, { implicitTls: true })
  const hello = await client.command('EHLO x')
  assert.match(hello.raw, /AUTH PLAIN/)
  assert.doesNotMatch(hello.raw, /STARTTLS/)
  assert.equal((await client.command('STARTTLS')).code, 503)
})

test('behind a balancer too, in both ways', async (t) => {
  const pipeline = { trustedProxies: ['127.0.0.1'] } as unknown as typeof testPipeline
  const preamble = Buffer.from('PROXY TCP4 192.0.2.7 192.0.2.1 54321 465\r\n')
  for (const [clientHelloMs, how] of [
    [60_000, { implicitTls: true }],
    [20, { starttls: true }],
  ] as const) {
    const inbound = await seed465(t, clientHelloMs, { listener: { proxy: true }, configuration: { pipeline } })
    const envelope = await submits(t, inbound, { ...how, preamble })
    assert.deepEqual([envelope?.origin.address, envelope?.origin.port], ['192.0.2.7', 54_321])
  }
})

test('who begins with a ClientHello and goes no further is cut off, and gives his place back', async (t) => {
  const inbound = await seed465(t, 60_000, { limits: { lineMs: 50, connectionsPerAddress: 1 } })
  const socket = connect(inbound.port, '127.0.0.1')
  socket.on('error', () => undefined)
  socket.write(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00]))
  await new Promise((resolve) => socket.once('close', resolve))
  await submits(t, inbound, { implicitTls: true })
})

test('who breaks off while a ClientHello is awaited leaves nothing behind', async (t) => {
  const inbound = await seed465(t, 60_000, { limits: { connectionsPerAddress: 1 } })
  const socket = connect(inbound.port, '127.0.0.1')
  await new Promise((resolve) => socket.once('connect', resolve))
  socket.resetAndDestroy()
  for (;;) {
    const client = await SmtpClient.ready({ port: inbound.port, implicitTls: true }).catch(() => undefined)
    if (client === undefined) continue
    t.after(() => client.destroy())
    break
  }
})

test('a server that stops does not wait for a client that says nothing', async (t) => {
  const inbound = await seed465(t, 60_000)
  const socket = connect(inbound.port, '127.0.0.1')
  await new Promise((resolve) => socket.once('connect', resolve))
  const closed = new Promise((resolve) => socket.once('close', resolve))
  await inbound.close()
  await closed
})
