import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import fc from 'fast-check'

import type { Configuration } from '../../shared/config/model.ts'
import { ProxyHeaderError, readProxyHeader } from './proxy-header.ts'
import { SmtpClient } from '../../test/support/smtp-client.ts'
import type { ClientOptions } from '../../test/support/smtp-client.ts'
import { startInbound, testPipeline } from './testing.ts'
import type { TestInbound, TestInboundOptions } from './testing.ts'

const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')

function header(command: number, protocol: number, body: Buffer): Buffer {
  const length = Buffer.alloc(2)
  length.writeUInt16BE(body.length)
  return Buffer.concat([signature, Buffer.from([command, protocol]), length, body])
}

/** From that address and port to 10.0.0.1 port 25. */
const fromIpv4 = (...octets: readonly [number, number, number, number]): Buffer =>
  header(0x21, 0x11, Buffer.from([...octets, 10, 0, 0, 1, 0xd4, 0x31, 0, 25]))
const ipv6 = Buffer.from('20010db8000000000000000000000001fd000000000000000000000000000001d4310019', 'hex')
const mapped = Buffer.from('00000000000000000000ffffc0000207fd000000000000000000000000000001d4310019', 'hex')
const tlvs = Buffer.from('04000301020305000101', 'hex')

async function read(...chunks: readonly Buffer[]): Promise<{ readonly source: unknown; readonly rest: string }> {
  const socket = new PassThrough()
  const reading = readProxyHeader(socket, 5_000)
  for (const chunk of chunks) socket.write(chunk)
  socket.end()
  const source = await reading
  return { source, rest: ((socket.read() as Buffer | null) ?? Buffer.alloc(0)).toString() }
}

test('the address in the header is the client, what follows is left alone', async () => {
  const cases: readonly (readonly [Buffer, object | undefined])[] = [
    [fromIpv4(192, 0, 2, 7), { address: '192.0.2.7', port: 54_321 }],
    [header(0x21, 0x21, ipv6), { address: '2001:db8::1', port: 54_321 }],
    [header(0x21, 0x21, mapped), { address: '192.0.2.7', port: 54_321 }],
    [header(0x21, 0x21, Buffer.concat([ipv6, tlvs])), { address: '2001:db8::1', port: 54_321 }],
    [header(0x20, 0x00, Buffer.alloc(0)), undefined],
    [header(0x20, 0x11, tlvs), undefined],
    [header(0x21, 0x00, tlvs), undefined],
    [Buffer.from('PROXY TCP4 192.0.2.7 10.0.0.1 54321 25\r\n'), { address: '192.0.2.7', port: 54_321 }],
    [Buffer.from('PROXY TCP6 2001:DB8:0::1 fd00::1 54321 25\r\n'), { address: '2001:db8::1', port: 54_321 }],
    [Buffer.from('PROXY TCP6 ::ffff:192.0.2.7 fd00::1 54321 25\r\n'), { address: '192.0.2.7', port: 54_321 }],
    [Buffer.from('PROXY UNKNOWN\r\n'), undefined],
    [Buffer.from('PROXY UNKNOWN ffff:f::1 ffff::2 65535 65535\r\n'), undefined],
  ]
  for (const [octets, expected] of cases) {
    const follows = Buffer.from('EHLO x\r\n')
    assert.deepEqual(await read(Buffer.concat([octets, follows])), { source: expected, rest: 'EHLO x\r\n' })
    const single = [...octets].map((octet) => Buffer.from([octet]))
    assert.deepEqual(await read(...single, follows), { source: expected, rest: 'EHLO x\r\n' })
  }
})

test('anything else is refused', async () => {
  const cases: readonly Buffer[] = [
    Buffer.from('PROXY TCP4 192.0.2.7 10.0.0.1 54321 25\n'),
    Buffer.from('PROXY TCP4 192.0.2.7 10.0.0.1 54321 25'),
    Buffer.from('PROXY TCP4 2001:db8::1 10.0.0.1 54321 25\r\n'),
    Buffer.from('PROXY TCP6 192.0.2.7 10.0.0.1 54321 25\r\n'),
    Buffer.from('PROXY TCP4 192.0.2.700 10.0.0.1 54321 25\r\n'),
    Buffer.from('PROXY TCP4 192.0.2.7 10.0.0.1 65536 25\r\n'),
    Buffer.from('PROXY TCP4 192.0.2.7 10.0.0.1 54321\r\n'),
    Buffer.from('PROXY TCP4 192.0.2.7\r\nEHLO x\r\n'),
    Buffer.from('proxy TCP4 192.0.2.7 10.0.0.1 54321 25\r\n'),
    Buffer.from(`PROXY UNKNOWN ${'x'.repeat(100)}\r\n`),
    Buffer.from('EHLO client.test\r\nMAIL FROM:<a@b.test>\r\n'),
    header(0x11, 0x11, Buffer.alloc(12)),
    header(0x22, 0x11, Buffer.alloc(12)),
    header(0x21, 0x12, Buffer.alloc(12)),
    header(0x21, 0x31, Buffer.alloc(216)),
    header(0x21, 0x11, Buffer.alloc(11)),
    header(0x21, 0x21, Buffer.alloc(35)),
    header(0x21, 0x11, Buffer.alloc(5_000)),
    fromIpv4(192, 0, 2, 7).subarray(0, 20),
    signature,
    Buffer.alloc(0),
  ]
  for (const octets of cases) await assert.rejects(read(octets), ProxyHeaderError, octets.toString('latin1'))
  await assert.rejects(readProxyHeader(new PassThrough(), 1), /in time/)
})

test('no octets do more harm than a refusal', async () => {
  const headers = fc
    .tuple(
      fc.constantFrom(0x20, 0x21, 0x22),
      fc.constantFrom(0, 0x11, 0x21, 0x31, 0xff),
      fc.uint8Array({ maxLength: 60 }),
    )
    .map(([command, protocol, body]) => header(command, protocol, Buffer.from(body)))
  await fc.assert(
    fc.asyncProperty(fc.oneof(headers, fc.uint8Array({ maxLength: 80 }).map(Buffer.from)), async (octets) => {
      await read(octets).catch((error: unknown) => assert.ok(error instanceof ProxyHeaderError))
    }),
  )
})

function trusting(...trustedProxies: readonly string[]): Configuration['pipeline'] {
  return { ...testPipeline, trustedProxies }
}

async function behindProxy(t: TestContext, options: TestInboundOptions = {}): Promise<TestInbound> {
  const inbound = await startInbound({
    ...options,
    configuration: { pipeline: trusting('127.0.0.0/8') },
    listener: { proxy: true, ...options.listener },
  })
  t.after(() => inbound.close())
  return inbound
}

async function connected(t: TestContext, inbound: TestInbound, options: Partial<ClientOptions>): Promise<SmtpClient> {
  const client = await SmtpClient.ready({ port: inbound.port, timeoutMs: 60_000, ...options })
  t.after(() => client.destroy())
  return client
}

const message = {
  from: 'a@example.net',
  to: ['jane@example.org'],
  content: 'From: a@example.net\r\nSubject: x\r\n\r\nHello\r\n',
} as const

test('behind a balancer the client has its own address everywhere, with TLS from the start too', async (t) => {
  for (const implicitTls of [false, true]) {
    const inbound = await behindProxy(t, implicitTls ? { listener: { tls: 'implicit' } } : {})
    const client = await connected(t, inbound, { implicitTls, preamble: fromIpv4(192, 0, 2, 7) })
    const hello = await client.command('EHLO client.test')
    assert.match(hello.raw, /Hello \[192\.0\.2\.7\]/)
    assert.equal((await client.send(message)).code, 250)
    const [stored] = inbound.accepted
    const { address, port, thisHost } = stored?.envelope.origin ?? {}
    assert.deepEqual([address, port, thisHost], ['192.0.2.7', 54_321, undefined])
    assert.match(stored?.message ?? '', /^Received: from client\.test \(\[192\.0\.2\.7\]\)/)
  }
})

test('a balancer that speaks for itself has its own address', async (t) => {
  const inbound = await behindProxy(t)
  const client = await connected(t, inbound, { preamble: header(0x20, 0x00, Buffer.alloc(0)) })
  assert.match((await client.command('EHLO client.test')).raw, /Hello \[127\.0\.0\.1\]/)
})

test('connections are counted for the client, not for the balancer', async (t) => {
  const inbound = await behindProxy(t, { limits: { connectionsPerAddress: 1 } })
  const first = await connected(t, inbound, { preamble: fromIpv4(192, 0, 2, 7) })
  await connected(t, inbound, { preamble: fromIpv4(192, 0, 2, 8) })
  await assert.rejects(connected(t, inbound, { preamble: fromIpv4(192, 0, 2, 7) }))
  const gone = inbound.nextEvent('disconnected')
  await first.quit()
  await gone
  await connected(t, inbound, { preamble: fromIpv4(192, 0, 2, 7) })
})

test('who sends no header, or is not trusted to send one, gets no session', async (t) => {
  const inbound = await behindProxy(t, { limits: { proxyHeaderMs: 50 } })
  const silent = await SmtpClient.connect({ port: inbound.port })
  await silent.waitForClose()
  const wrong = await SmtpClient.connect({ port: inbound.port, preamble: Buffer.from('EHLO client.test\r\nQUIT\r\n') })
  await wrong.waitForClose()
  assert.deepEqual(inbound.events, ['rejected', 'rejected'])
  const pipeline = trusting('10.0.0.0/8')
  const strange = await startInbound({ listener: { proxy: true }, configuration: { pipeline } })
  t.after(() => strange.close())
  const liar = await SmtpClient.connect({ port: strange.port, preamble: fromIpv4(192, 0, 2, 7) })
  t.after(() => liar.destroy())
  assert.match((await liar.reply()).raw, /^554 5\.7\.1 Only trusted proxies/)
})
