import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { connect } from 'node:tls'

import { fixture } from '../../test/support/fixtures.ts'
import type { ClientOptions } from '../../test/support/smtp-client.ts'
import type { Listener, Restriction, RestrictionCondition, Table } from '../../shared/config/model.ts'
import { alternativesIn } from './client-certificate.ts'
import { inlineMap, remotePki, rsaPki, testPipeline } from './testing.ts'
import type { TestInbound, TestInboundOptions } from './testing.ts'
import { connected, dialogue, start } from './testing-session.ts'

const at = { file: 'pipeline.conf', line: 3, column: 1 } as const

/** Signed by the authority of the listener, and by itself. */
const partner = pair(remotePki)
const selfSigned = pair(rsaPki)
const fingerprint = new X509Certificate(selfSigned.cert).fingerprint256

function pair({ cert, key }: Pick<typeof rsaPki, 'cert' | 'key'>): NonNullable<ClientOptions['certificate']> {
  return { cert: readFileSync(cert), key: readFileSync(key) }
}

function list(...entries: readonly string[]): Table {
  return { name: 'known', source: { kind: 'inline', list: entries }, at }
}

/** Clients are asked for a certificate; who does not meet the condition is refused at RCPT. */
function permitting(
  t: TestContext,
  when: RestrictionCondition,
  listener: Partial<Listener>,
  options: Pick<TestInboundOptions, 'ticketFile'> = {},
): Promise<TestInbound> {
  const restrictions: readonly Restriction[] = [
    { stage: 'rcpt', rule: { kind: 'permit', when }, text: '', at },
    { stage: 'rcpt', rule: { kind: 'reply', reply: '554 5.7.1 Not known' }, text: '', at },
  ]
  const pipeline = { ...testPipeline, restrictions, sessions: [{ at, settings: { asksCertificate: true } }] }
  const cas = new Map([['partners', fixture('tls/ca.pem')]])
  return start(t, { ...options, configuration: { pipeline, cas }, listener: { ca: 'partners', ...listener } })
}

async function isPermitted(
  t: TestContext,
  inbound: TestInbound,
  how: Partial<ClientOptions> & { readonly starttls?: boolean },
): Promise<boolean> {
  const client = await connected(t, inbound, how)
  await dialogue(client, [['MAIL FROM:<a@example.net>', '250']])
  const { code } = await client.command('RCPT TO:<jane@example.org>')
  await client.quit()
  assert.ok(code === 250 || code === 554, String(code))
  return code === 250
}

test('a fingerprint is enough, whoever signed; names and `verified` need the authority of the listener', async (t) => {
  const plain = fingerprint.replaceAll(':', '').toLowerCase()
  const cases: readonly (readonly [RestrictionCondition, partner: boolean, selfSigned: boolean])[] = [
    [{ kind: 'certificate-table', part: 'fingerprint', table: list(fingerprint) }, false, true],
    [{ kind: 'certificate-table', part: 'fingerprint', table: list('AA', plain) }, false, true],
    [
      { kind: 'certificate-table', part: 'fingerprint', table: inlineMap('prints', { [fingerprint]: 'x' }) },
      false,
      true,
    ],
    [{ kind: 'certificate-table', part: 'name', table: list('mx2.remote.test') }, true, false],
    [{ kind: 'certificate-table', part: 'name', table: list('*.remote.test') }, true, false],
    [{ kind: 'certificate-table', part: 'name', table: list('CN=mx.remote.test') }, true, false],
    [{ kind: 'certificate-table', part: 'name', table: list('mx.sluice.test', 'other.test') }, false, false],
    [{ kind: 'certificate' }, true, false],
  ]
  for (const [when, partnerMay, selfSignedMay] of cases) {
    const inbound = await permitting(t, when, { tls: 'implicit' })
    const may = async (certificate?: ClientOptions['certificate']): Promise<boolean> =>
      isPermitted(t, inbound, { implicitTls: true, ...(certificate === undefined ? {} : { certificate }) })
    const found = [await may(partner), await may(selfSigned), await may()]
    assert.deepEqual(found, [partnerMay, selfSignedMay, false], JSON.stringify(when))
  }
})

test('an access table says what becomes of a certificate', async (t) => {
  const table = inlineMap('known', { [fingerprint]: 'REJECT stolen' })
  const restrictions: readonly Restriction[] = [
    { stage: 'rcpt', rule: { kind: 'check', subject: 'certificate', table }, text: '', at },
  ]
  const pipeline = { ...testPipeline, restrictions, sessions: [{ at, settings: { asksCertificate: true } }] }
  const inbound = await start(t, { configuration: { pipeline }, listener: { tls: 'implicit' } })
  for (const [certificate, expected] of [
    [selfSigned, `554 5.7.1 <${fingerprint}>: Client certificate rejected: stolen`],
    [partner, '250 2.1.5'],
    [undefined, '250 2.1.5'],
  ] as const) {
    const client = await connected(t, inbound, {
      implicitTls: true,
      ...(certificate === undefined ? {} : { certificate }),
    })
    await dialogue(client, [
      ['MAIL FROM:<a@example.net>', '250'],
      ['RCPT TO:<jane@example.org>', expected],
    ])
  }
})

test('by STARTTLS too; who has not said it has proved nothing', async (t) => {
  const inbound = await permitting(t, { kind: 'certificate' }, { tls: 'offered' })
  assert.equal(await isPermitted(t, inbound, { starttls: true, certificate: partner }), true)
  assert.equal(await isPermitted(t, inbound, { certificate: partner }), false)
})

test('the log has fingerprint and subject, the subject only of one that an authority signed', async (t) => {
  const inbound = await permitting(t, { kind: 'certificate' }, { tls: 'implicit' })
  for (const certificate of [partner, selfSigned]) await isPermitted(t, inbound, { implicitTls: true, certificate })
  const told = inbound.told.filter((_, index) => inbound.events[index] === 'secured') as readonly {
    readonly clientSubject?: string
    readonly clientFingerprint?: string
  }[]
  assert.deepEqual(
    told.map(({ clientSubject, clientFingerprint }) => [clientSubject, clientFingerprint]),
    [
      ['CN=mx.remote.test', new X509Certificate(partner.cert).fingerprint256],
      [undefined, fingerprint],
    ],
  )
})

test('a certificate without a subject ends nothing: it has its fingerprint, and no name', async (t) => {
  const nameless = pair({ cert: fixture('tls/nameless.pem'), key: fixture('tls/nameless.key') })
  const { fingerprint256 } = new X509Certificate(nameless.cert)
  const when = { kind: 'certificate-table', part: 'fingerprint', table: list(fingerprint256) } as const
  for (const tls of ['implicit', 'offered'] as const) {
    const inbound = await permitting(t, when, { tls })
    const how = tls === 'implicit' ? { implicitTls: true } : { starttls: true }
    assert.equal(await isPermitted(t, inbound, { ...how, certificate: nameless }), true)
  }
})

test('a session that is resumed proves what it proved at first, and without a certificate nothing', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'tickets-'))
  t.after(() => rm(folder, { recursive: true }))
  const inbound = await permitting(
    t,
    { kind: 'certificate' },
    { tls: 'implicit' },
    { ticketFile: join(folder, 'tickets') },
  )
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    for (const [certificate, expected] of [
      [partner, /^250/],
      [selfSigned, /^554/],
      [undefined, /^554/],
    ] as const) {
      let session: Buffer | undefined
      for (const resumed of [false, true]) {
        const socket = connect({
          port: inbound.port,
          host: '127.0.0.1',
          rejectUnauthorized: false,
          minVersion: version,
          maxVersion: version,
          ...certificate,
          ...(session === undefined ? {} : { session }),
        })
        socket.on('session', (ticket) => (session = ticket))
        let said = ''
        socket.on('data', (chunk: Buffer) => (said += chunk.toString()))
        await once(socket, 'data')
        assert.equal(socket.isSessionReused(), resumed)
        socket.write('EHLO x\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<jane@example.org>\r\nQUIT\r\n')
        await once(socket, 'close')
        const reply = said.split('\r\n').at(-3) ?? ''
        assert.match(reply, expected, `${version} ${resumed ? 'resumed' : 'new'}`)
      }
    }
  }
})

test('whoever is asked for a certificate and has none goes on nowhere else as one who had to have one', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'tickets-'))
  t.after(() => rm(folder, { recursive: true }))
  const ticketFile = join(folder, 'tickets')
  const when = { kind: 'certificate' } as const
  const asking = await permitting(t, when, { tls: 'implicit' }, { ticketFile })
  const demanding = await permitting(t, when, { tls: 'implicit', verifyClient: true }, { ticketFile })
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const options = { host: '127.0.0.1', rejectUnauthorized: false, minVersion: version, maxVersion: version }
    const first = connect({ ...options, port: asking.port })
    let session: Buffer | undefined
    first.on('session', (ticket) => (session = ticket))
    await once(first, 'data')
    first.end('QUIT\r\n')
    await once(first, 'close')
    assert.ok(session !== undefined)
    const second = connect({ ...options, port: demanding.port, session })
    let greeted = false
    second.on('data', () => (greeted = true))
    second.on('error', () => undefined)
    await new Promise((resolve) => second.once('close', resolve))
    assert.equal(greeted, false, version)
  }
})

test("a client that another one speaks for has not that one's certificate", async (t) => {
  const pipeline = {
    ...testPipeline,
    extensions: { smtpUtf8: true, trustedClients: ['127.0.0.1'] },
    sessions: [{ at, settings: { asksCertificate: true } }],
    restrictions: [
      { stage: 'rcpt', rule: { kind: 'reply', reply: '554 5.7.1 Shown', when: { kind: 'certificate' } }, text: '', at },
    ] as const,
  }
  const cas = new Map([['partners', fixture('tls/ca.pem')]])
  const inbound = await start(t, { configuration: { pipeline, cas }, listener: { tls: 'implicit', ca: 'partners' } })
  const client = await connected(t, inbound, { implicitTls: true, certificate: partner })
  await dialogue(client, [
    ['MAIL FROM:<a@example.net>', '250'],
    ['RCPT TO:<jane@example.org>', '554 5.7.1 Shown'],
    ['RSET', '250'],
    ['XCLIENT ADDR=192.0.2.7', '220'],
    ['EHLO x', '250'],
    ['MAIL FROM:<a@example.net>', '250'],
    ['RCPT TO:<jane@example.org>', '250'],
  ])
})

test('a name inside quotes is none', () => {
  assert.deepEqual(alternativesIn('DNS:a.example, email:jane@example.org, IP Address:192.0.2.1'), [
    { kind: 'DNS', value: 'a.example' },
    { kind: 'email', value: 'jane@example.org' },
    { kind: 'IP Address', value: '192.0.2.1' },
  ])
  assert.deepEqual(alternativesIn('DNS:"b.example, DNS:evil.example", DNS:c.example'), [
    { kind: 'DNS', value: 'c.example' },
  ])
  assert.deepEqual(alternativesIn('URI:"x\\", DNS:evil.example, ", DNS:c.example'), [
    { kind: 'DNS', value: 'c.example' },
  ])
  assert.deepEqual(alternativesIn(''), [])
})
