import assert from 'node:assert/strict'
import { createHash, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'

import { fixture } from '../support/fixtures.ts'
import { type MailSink, startMailSink } from '../support/mail-sink.ts'
import { MailSystem } from '../support/mail-system.ts'
import { idOf, testMessage } from '../support/messages.ts'
import { missingPeers } from '../support/peer.ts'
import { SmtpClient } from '../support/smtp-client.ts'
import { startUnbound, type UnboundZone } from '../support/unbound.ts'

const conf = `listen on 127.0.0.1 port {{smtp}} hostname "mx.sluice.test"
action "out" relay
match from local for any action "out"
`

const pem = {
  cert: readFileSync(fixture('tls/world.pem'), 'utf8'),
  key: readFileSync(fixture('tls/world.key'), 'utf8'),
}
const [secure, plain] = ['127.0.0.1', '127.0.0.2']

/** As TLSA records are mostly written: the server's key, SHA-256 (RFC 7672 §3.1). */
const publicKey = new X509Certificate(pem.cert).publicKey.export({ type: 'spki', format: 'der' })
const ours = `3 1 1 ${createHash('sha256').update(publicKey).digest('hex')}`
const others = `3 1 1 ${'ab'.repeat(32)}`

const host = (address: string, port: number, tlsa?: string): readonly string[] => [
  '@ MX 10 mx',
  `mx A ${address}`,
  ...(tlsa === undefined ? [] : [`_${port}._tcp.mx TLSA ${tlsa}`]),
]

function zonesFor(port: number): Readonly<Record<string, UnboundZone>> {
  return {
    'right.test': { records: host(secure, port, ours), signed: true },
    'wrong.test': { records: host(secure, port, others), signed: true },
    'stripped.test': { records: host(plain, port, ours), signed: true },
    'without.test': { records: host(plain, port), signed: true },
    'unsigned.test': { records: host(plain, port, others), signed: false },
    // Their owner published other records than those that come.
    'forged-tlsa.test': {
      records: host(secure, port, others),
      signed: true,
      forge: (zone) => zone.replaceAll('ab'.repeat(32), ours.slice(6)),
    },
    'forged-mx.test': {
      records: [...host(plain, port), 'evil A 127.0.0.2'],
      signed: true,
      forge: (zone) => zone.replace(/(\sMX\s+10\s+)mx\.forged-mx\.test\./, '$1evil.forged-mx.test.'),
    },
    'forged-address.test': {
      records: host('127.0.0.9', port, ours),
      signed: true,
      forge: (zone) => zone.replaceAll('127.0.0.9', plain),
    },
    // Somebody left the TLSA record out, and could not sign that it is not there.
    'withheld.test': {
      records: host(plain, port, ours),
      signed: true,
      forge: (zone) => zone.replaceAll(/^_.*\n/gm, ''),
    },
  }
}

describe('DANE through a resolver that checks signatures', { skip: missingPeers('unbound', 'ldns-signzone') }, () => {
  const closing: { stop(): Promise<void> }[] = []
  let encrypted: MailSink
  let clear: MailSink
  let system: MailSystem

  before(async () => {
    encrypted = keep(await startMailSink({ host: secure, tls: pem }))
    clear = keep(await startMailSink({ host: plain, port: encrypted.port }))
    const resolver = keep(await startUnbound(zonesFor(encrypted.port)))
    system = keep(
      await MailSystem.start({
        conf,
        pipeline: `resolver "${resolver.address}" validating
relay port ${encrypted.port}
dane opportunistic
lane default back-off off
`,
      }),
    )
  })

  after(async () => {
    for (const one of closing.toReversed()) await one.stop()
  })

  function keep<Stopped extends { stop(): Promise<void> }>(one: Stopped): Stopped {
    closing.push(one)
    return one
  }

  async function send(domain: string): Promise<string> {
    const [from, to] = ['jane@sluice.test', `ann@${domain}`]
    const client = await SmtpClient.ready({ port: system.port('smtp') })
    const reply = await client.send({ from, to: [to], content: testMessage({ id: domain, from, to }) })
    await client.quit()
    return idOf(reply)
  }

  test('the mail goes to a host whose signed TLSA records promise its certificate', async () => {
    assert.equal((await system.waitForEvent('relayed', await send('right.test')))['tlsTrust'], 'dane')
    assert.equal(encrypted.copies.get('right.test'), 1)
  })

  for (const [domain, reply] of [
    [
      'wrong.test',
      /^451 4\.7\.5 .*not the one of the TLSA records \(demanded by the TLSA records \(DANE\) of wrong\.test\)/,
    ],
    ['stripped.test', /^451 4\.7\.4 .*does not offer STARTTLS \(demanded by/],
    [
      'forged-tlsa.test',
      /^451 4\.4\.3 The TLSA records of the mail servers of forged-tlsa\.test could not be looked up/,
    ],
    ['withheld.test', /^451 4\.4\.3 The TLSA records of the mail servers of withheld\.test could not be looked up/],
    ['forged-mx.test', /^451 4\.4\.3 The mail servers of forged-mx\.test could not be looked up/],
    ['forged-address.test', /^451 4\.4\.3 The mail servers of forged-address\.test could not be looked up/],
  ] as const)
    test(`${domain}: the mail waits, and nobody gets it`, async () => {
      const delayed = await system.waitForEvent('delayed', await send(domain))
      assert.match(String(delayed['reply']), reply)
      assert.deepEqual([encrypted.copies.get(domain), clear.copies.get(domain)], [undefined, undefined])
    })

  for (const domain of ['unsigned.test', 'without.test'])
    test(`${domain}: nothing is promised, so nothing is demanded`, async () => {
      await system.waitForEvent('relayed', await send(domain))
      assert.equal(clear.copies.get(domain), 1)
    })
})
