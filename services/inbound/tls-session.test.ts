import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect as connectTcp } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { connect } from 'node:tls'
import type { ConnectionOptions } from 'node:tls'

import { SmtpClient } from '../../test/support/smtp-client.ts'
import { remotePki, rsaPki, startInbound } from './testing.ts'
import type { TestInbound, TestInboundOptions } from './testing.ts'

const cas = new Map([['clients', rsaPki.cert]])
const verified = { tls: 'implicit', verifyClient: true, ca: 'clients' } as const
const trusted = { cert: readFileSync(rsaPki.cert), key: readFileSync(rsaPki.key) }
const stranger = { cert: readFileSync(remotePki.cert), key: readFileSync(remotePki.key) }

/** Says QUIT once it is greeted; the ticket to come back with. Rejects when the server breaks off. */
async function visit(port: number, options: ConnectionOptions = {}): Promise<Buffer | undefined> {
  const socket = connect({
    port,
    host: '127.0.0.1',
    rejectUnauthorized: false,
    servername: 'mx.sluice.test',
    ...options,
  })
  let ticket: Buffer | undefined
  let said = ''
  socket.on('session', (session) => (ticket = session))
  socket.on('data', (chunk: Buffer) => {
    said += chunk.toString()
    if (said.startsWith('220') && !socket.writableEnded) socket.end('QUIT\r\n')
  })
  await once(socket, 'close')
  assert.match(said, /^220 .*\r\n221 /)
  return ticket
}

test('a handshake is told in one line: version, cipher, the name asked for', async (t) => {
  for (const [version, cipher] of [
    ['TLSv1.2', /^TLS_ECDHE_ECDSA_WITH_/],
    ['TLSv1.3', /^TLS_AES_/],
  ] as const) {
    const inbound = await start(t, { listener: { tls: 'implicit' } })
    await visit(inbound.port, { minVersion: version, maxVersion: version })
    const [told, ...more] = secured(inbound)
    assert.deepEqual(
      [told?.version, told?.resumed, told?.servername, more.length],
      [version, false, 'mx.sluice.test', 0],
    )
    assert.match(String(told?.cipher), cipher)
    assert.equal('clientSubject' in (told ?? {}), false)
  }
  const inbound = await start(t, { listener: { tls: 'offered' } })
  const client = await SmtpClient.ready({ port: inbound.port, starttls: true })
  await client.quit()
  assert.equal(secured(inbound).length, 1)
})

test('a client goes on with its session at another process, and the log says so', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'tickets-'))
  t.after(() => rm(folder, { recursive: true }))
  const ticketFile = join(folder, 'tls-tickets')
  const [one, other] = [
    await start(t, { listener: { tls: 'implicit' }, ticketFile }),
    await start(t, { listener: { tls: 'implicit' }, ticketFile }),
  ]
  const alone = await start(t, { listener: { tls: 'implicit' } })
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const versions = { minVersion: version, maxVersion: version }
    const session = await visit(one.port, versions)
    assert.ok(session !== undefined)
    await one.refreshCertificates()
    for (const inbound of [one, other, alone]) await visit(inbound.port, { ...versions, session })
    const resumed = [one, other, alone].map((inbound) => secured(inbound).at(-1)?.resumed)
    assert.deepEqual(resumed, [true, true, false], version)
  }
})

test('with `verify` a client proves a certificate, by STARTTLS too, and the log names it', async (t) => {
  const implicit = await start(t, { listener: verified, configuration: { cas } })
  await visit(implicit.port, trusted)
  assert.equal(secured(implicit)[0]?.clientSubject, 'CN=mx.sluice.test')
  for (const options of [{}, stranger]) await assert.rejects(visit(implicit.port, options))
  assert.equal(implicit.events.filter((name) => name === 'tlsFailed').length, 2)
  assert.equal(secured(implicit).length, 1)

  const starttls = await start(t, { listener: { ...verified, tls: 'offered' }, configuration: { cas } })
  for (const [options, passes] of [
    [trusted, true],
    [stranger, false],
    [{}, false],
  ] as const)
    assert.equal(await greetedByTls(starttls.port, options), passes)
  assert.equal(starttls.events.filter((name) => name === 'tlsFailed').length, 2)
  assert.equal(secured(starttls).length, 1)
})

test('a session of a listener that asks for no certificate does not open one that does', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'tickets-'))
  t.after(() => rm(folder, { recursive: true }))
  const ticketFile = join(folder, 'tls-tickets')
  const open = await start(t, { listener: { tls: 'implicit' }, ticketFile })
  const closed = await start(t, { listener: verified, configuration: { cas }, ticketFile })
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const versions = { minVersion: version, maxVersion: version }
    const session = await visit(open.port, versions)
    assert.ok(session !== undefined)
    await assert.rejects(visit(closed.port, { ...versions, session }), version)
    const known = await visit(closed.port, { ...versions, ...trusted })
    assert.ok(known !== undefined)
    await visit(closed.port, { ...versions, ...trusted, session: known })
    const last = secured(closed).at(-1)
    assert.deepEqual([last?.resumed, last?.clientSubject], [true, 'CN=mx.sluice.test'], version)
  }
})

/** Whether EHLO is answered behind the handshake. */
async function greetedByTls(port: number, options: ConnectionOptions): Promise<boolean> {
  const plain = connectTcp({ port, host: '127.0.0.1' })
  plain.on('error', () => undefined)
  await once(plain, 'data')
  plain.write('STARTTLS\r\n')
  await once(plain, 'data')
  const socket = connect({ socket: plain, rejectUnauthorized: false, ...options })
  socket.on('error', () => undefined)
  let said = ''
  socket.on('data', (chunk: Buffer) => {
    said += chunk.toString()
    if (!socket.writableEnded) socket.end('QUIT\r\n')
  })
  socket.write('EHLO x\r\n')
  await new Promise((resolve) => socket.once('close', resolve))
  return said.startsWith('250')
}

interface Told {
  readonly version?: string
  readonly cipher?: string
  readonly resumed?: boolean
  readonly servername?: string
  readonly clientSubject?: string
}

function secured({ events, told }: TestInbound): readonly Told[] {
  return told.filter((_, index) => events[index] === 'secured') as Told[]
}

async function start(t: TestContext, options: TestInboundOptions): Promise<TestInbound> {
  const inbound = await startInbound(options)
  t.after(() => inbound.close())
  return inbound
}
