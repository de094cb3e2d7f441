import assert from 'node:assert/strict'
import { once } from 'node:events'
import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { connect } from 'node:tls'
import type { ConnectionOptions } from 'node:tls'

import { credentials, remotePki, rsaPki, startInbound, testPipeline, testPki } from './testing.ts'
import type { TestInboundOptions } from './testing.ts'

/** Common name of the certificate a client is shown. */
async function shown(port: number, options: ConnectionOptions): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options })
  await once(socket, 'secureConnect')
  const name = String(socket.getPeerCertificate().subject.CN)
  socket.destroy()
  return name
}

test('a port in use is named with the line of smtpd.conf, and nothing stays open', async (t) => {
  const other = createServer().listen(0, '127.0.0.1')
  t.after(() => other.close())
  await once(other, 'listening')
  const { port } = other.address() as AddressInfo
  await assert.rejects(startInbound({ listener: { port } }), {
    message: `smtpd.conf:7: listen on 127.0.0.1 port ${port}: the address is in use by another program`,
  })
  await assert.rejects(startInbound({ listener: { on: '192.0.2.99' } }), /smtpd\.conf:7: .*not one of this machine/)
})

test('the start message says how each listener is to be used', async (t) => {
  const required = { kind: 'required', table: credentials } as const
  for (const [listener, text] of [
    [{}, /^smtp:\/\/127\.0\.0\.1:\d+$/],
    [{ tls: 'offered' }, /^smtp:.* \(STARTTLS\)$/],
    [{ tls: 'required', auth: required }, /^smtp:.* \(STARTTLS required, AUTH required\)$/],
    [{ tls: 'implicit', auth: required }, /^smtps:.* \(AUTH required\)$/],
    [{ tag: 'MX' }, /\(tag MX\)$/],
  ] as const) {
    const inbound = await startInbound({ listener })
    t.after(() => inbound.close())
    assert.match(inbound.listens[0] ?? '', text)
  }
})

test('listeners that are no sockets of ours are not opened', async (t) => {
  const queue = {
    name: 'filter',
    tag: 'Filtered',
    answers: 'smtp://localhost:10024',
    concurrency: 1,
    timeoutMs: 60_000,
    onFailure: 'defer',
    targetMs: 60_000,
  } as const
  const queues = new Map([['filter', queue]])
  const pipeline = { ...testPipeline, queues }
  for (const listener of [{ on: 'socket' }, { on: 'lo', port: 10_025, tag: 'Filtered' }]) {
    const inbound = await startInbound({ listener, configuration: { pipeline } })
    t.after(() => inbound.close())
    assert.deepEqual(inbound.listens, [])
  }
})

test('the certificate is chosen by the name asked for, the first is for all others', async (t) => {
  const pkis = new Map([
    ['server', testPki],
    ['remote', remotePki],
  ])
  const listener = { tls: 'implicit', pkis: ['server', 'remote'] } as const
  const inbound = await startInbound({ listener, configuration: { pkis } })
  t.after(() => inbound.close())
  assert.equal(await shown(inbound.port, {}), 'mx.sluice.test')
  assert.equal(await shown(inbound.port, { servername: 'MX2.remote.test' }), 'mx.remote.test')
  assert.equal(await shown(inbound.port, { servername: 'unknown.test' }), 'mx.sluice.test')
})

test('a renewed certificate counts at the next handshake, a broken one changes nothing', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-pki-'))
  t.after(() => rm(folder, { recursive: true }))
  const files = { cert: join(folder, 'cert'), key: join(folder, 'key') }
  const install = async (from: typeof testPki): Promise<void> => {
    await copyFile(from.cert, files.cert)
    await copyFile(from.key, files.key)
  }
  await install(testPki)
  const pkis = new Map([['server', { ...testPki, ...files }]])
  const inbound = await startInbound({ listener: { tls: 'implicit' }, configuration: { pkis } })
  t.after(() => inbound.close())
  await install(remotePki)
  await inbound.refreshCertificates()
  assert.equal(await shown(inbound.port, {}), 'mx.remote.test')
  await copyFile(testPki.cert, files.cert)
  await inbound.refreshCertificates()
  assert.equal(await shown(inbound.port, {}), 'mx.remote.test')
})

test('TLS below the minimum is refused', async (t) => {
  const inbound = await startInbound({ listener: { tls: 'implicit' } })
  t.after(() => inbound.close())
  const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const
  await assert.rejects(shown(inbound.port, old))
})

test('TLS 1.1 is spoken where it is written, 1.0 is not then, and what is newer wins', async (t) => {
  const pipeline = { ...testPipeline, tlsMinimum: 'TLSv1.1' } as const
  const inbound = await startInbound({ listener: { tls: 'implicit' }, configuration: { pipeline } })
  t.after(() => inbound.close())
  const at = (version: 'TLSv1' | 'TLSv1.1') =>
    shown(inbound.port, { minVersion: version, maxVersion: version, ciphers: 'DEFAULT@SECLEVEL=0' })
  assert.equal(await at('TLSv1.1'), 'mx.sluice.test')
  await assert.rejects(at('TLSv1'))
  const newer = await startInbound({
    listener: { tls: 'implicit', protocols: 'TLSv1.2,TLSv1.3' },
    configuration: { pipeline },
  })
  t.after(() => newer.close())
  const old = { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const
  await assert.rejects(shown(newer.port, old), 'not listed')
})

test('a certificate that cannot be read is named before anything is opened', async () => {
  const pkis = new Map([['server', { ...testPki, cert: '/nonexistent/cert.pem' }]])
  await assert.rejects(
    startInbound({ listener: { tls: 'offered' }, configuration: { pkis } }),
    /smtpd\.conf:7: .*pki "server": .*\/nonexistent\/cert\.pem/,
  )
})

test('protocols, ciphers and dhe of a listener count, and `smtp ciphers` where it has none', async (t) => {
  const cases: readonly (readonly [TestInboundOptions, ConnectionOptions, ConnectionOptions])[] = [
    [{ listener: { protocols: 'TLSv1.3' } }, { maxVersion: 'TLSv1.2' }, {}],
    [{ listener: { protocols: 'TLSv1.2' } }, { minVersion: 'TLSv1.3' }, {}],
    [
      { listener: { ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384' } },
      { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' },
      { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384' },
    ],
    [
      { configuration: { ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384' } },
      { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' },
      { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384' },
    ],
  ]
  for (const [options, refused, taken] of cases) {
    const inbound = await startInbound({ ...options, listener: { tls: 'implicit', ...options.listener } })
    t.after(() => inbound.close())
    await assert.rejects(shown(inbound.port, refused), JSON.stringify(options))
    assert.equal(await shown(inbound.port, taken), 'mx.sluice.test')
  }
  const dhe = { maxVersion: 'TLSv1.2', ciphers: 'DHE-RSA-AES256-GCM-SHA384' } as const
  for (const mode of ['none', 'auto'] as const) {
    const pkis = new Map([['server', { ...rsaPki, dhe: mode }]])
    const inbound = await startInbound({ listener: { tls: 'implicit' }, configuration: { pkis } })
    t.after(() => inbound.close())
    const handshake = shown(inbound.port, dhe)
    if (mode === 'auto') assert.equal(await handshake, 'mx.sluice.test')
    else await assert.rejects(handshake)
  }
})
