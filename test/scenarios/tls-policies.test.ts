import assert from 'node:assert/strict'
import { createHash, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'

import { policyText, startPolicyHost } from '../../shared/mta-sts/testing.ts'
import type { PolicyHost } from '../../shared/mta-sts/testing.ts'
import { type DnsServer, type DnsZone, startDns } from '../support/dns.ts'
import { fixture } from '../support/fixtures.ts'
import { type MailSink, startMailSink } from '../support/mail-sink.ts'
import { MailSystem } from '../support/mail-system.ts'
import { idOf, testMessage } from '../support/messages.ts'
import { SmtpClient } from '../support/smtp-client.ts'

const conf = `listen on 127.0.0.1 port {{smtp}} hostname "mx.sluice.test"
action "out" relay
match from local for any action "out"
`

const pem = {
  cert: readFileSync(fixture('tls/world.pem'), 'utf8'),
  key: readFileSync(fixture('tls/world.key'), 'utf8'),
}

/** An honest host with TLS, and one without, where an attacker would lead us. */
const honest = '127.0.0.1'
const plain = '127.0.0.2'

const policies: Readonly<Record<string, string>> = {
  'mta-sts.enforced.test': policyText('enforce', ['mx.enforced.test']),
  'mta-sts.stripped.test': policyText('enforce', ['*.stripped.test']),
  'mta-sts.trial.test': policyText('testing', ['mx.trial.test']),
}

const zone: DnsZone = {
  ...Object.fromEntries(Object.keys(policies).map((name) => [name, { A: ['127.0.0.1'] }])),
  ...Object.fromEntries(
    Object.keys(policies).map((name) => [name.replace('mta-sts', '_mta-sts'), { TXT: ['v=STSv1; id=1;'] }]),
  ),
  'enforced.test': {
    MX: [
      [5, 'evil.test'],
      [10, 'mx.enforced.test'],
    ],
  },
  'evil.test': { A: [plain] },
  'mx.enforced.test': { A: [honest] },
  'stripped.test': { MX: [[10, 'mx.stripped.test']] },
  'mx.stripped.test': { A: [plain] },
  'trial.test': { MX: [[10, 'mx.trial.test']] },
  'mx.trial.test': { A: [plain] },
  'signed.test': { MX: [[10, 'mx.signed.test']], signed: true },
  'mx.signed.test': { A: [honest], signed: true },
  'forged.test': { MX: [[10, 'mx.forged.test']], signed: true },
  'mx.forged.test': { A: [honest], signed: true },
}

/** As TLSA records are mostly written: the server's key, SHA-256 (RFC 7672 §3.1). */
const publicKey = new X509Certificate(pem.cert).publicKey.export({ type: 'spki', format: 'der' })
const digest = createHash('sha256').update(publicKey).digest('hex')

describe('what domains ask of TLS on the way out', () => {
  const closing: { stop(): Promise<void> }[] = []
  let secure: MailSink
  let clear: MailSink
  let system: MailSystem

  before(async () => {
    const dns: DnsServer = keep(await startDns(zone))
    const hosts: PolicyHost = await startPolicyHost(
      pem,
      ({ headers }) => policies[(headers.host ?? '').split(':')[0] ?? ''],
    )
    closing.push({ stop: () => hosts.close() })
    secure = keep(await startMailSink({ host: honest, tls: pem }))
    dns.set({
      [`_${secure.port}._tcp.mx.signed.test`]: { TLSA: [`030101${digest}`], signed: true },
      [`_${secure.port}._tcp.mx.forged.test`]: { TLSA: [`030101${'ab'.repeat(32)}`], signed: true },
    })
    clear = keep(await startMailSink({ host: plain, port: secure.port }))
    system = await MailSystem.start({
      conf,
      pipeline: `resolver "${dns.address}" validating
relay port ${secure.port}
tls ca "{{fixtures}}/tls/world-ca.pem"
mta-sts opportunistic port ${hosts.port}
dane opportunistic
`,
    })
    keep(system)
  })

  after(async () => {
    for (const one of closing.toReversed()) await one.stop()
  })

  function keep<Stopped extends { stop(): Promise<void> }>(one: Stopped): Stopped {
    closing.push(one)
    return one
  }

  async function send(id: string, to: string): Promise<string> {
    const from = 'jane@sluice.test'
    const client = await SmtpClient.ready({ port: system.port('smtp') })
    const reply = await client.send({ from, to: [to], content: testMessage({ id, from, to }) })
    await client.quit()
    return idOf(reply)
  }

  /** The journal is written a moment after the event. */
  async function storyTells(id: string, wanted: RegExp): Promise<void> {
    let story = ''
    for (let tries = 0; tries < 20 && !wanted.test(story); tries++)
      story = (await system.ctl('show', 'message', id)).stdout
    assert.match(story, wanted)
  }

  test('enforce: the mail goes to the host that the policy names, its certificate checked, past a better MX that it does not name', async () => {
    const id = await send('enforced', 'ann@enforced.test')
    const relayed = await system.waitForEvent('relayed', id)
    assert.equal(relayed['tlsTrust'], 'mta-sts')
    assert.equal((await secure.waitForMessage((one) => one.id === 'enforced')).secure, true)
    await storyTells(id, /relayed to ann@enforced\.test by mx\.enforced\.test\S+ over TLSv1\.3 \S+ \(mta-sts\)/)
  })

  test('enforce: without STARTTLS the mail waits, and never goes in clear', async () => {
    const id = await send('stripped', 'ann@stripped.test')
    const delayed = await system.waitForEvent('delayed', id)
    assert.match(String(delayed['reply']), /^451 4\.7\.4 .*demanded by the MTA-STS policy of stripped\.test/)
    assert.equal(
      clear.commands.some((line) => line.includes('MAIL FROM')),
      false,
    )
  })

  test('testing: the mail goes, and the failure is told', async () => {
    const id = await send('trial', 'ann@trial.test')
    await clear.waitForMessage((one) => one.id === 'trial')
    const told = await system.waitForEvent('tls policy failed', id)
    assert.deepEqual([told['mode'], told['domain'], told['reason']], ['testing', 'trial.test', 'no TLS'])
    await system.waitForEvent('relayed', id)
  })

  test('DANE: the mail goes to the host whose certificate its TLSA records promise, and to no other', async () => {
    const id = await send('signed', 'ann@signed.test')
    assert.equal((await system.waitForEvent('relayed', id))['tlsTrust'], 'dane')
    assert.equal((await secure.waitForMessage((one) => one.id === 'signed')).secure, true)
    const delayed = await system.waitForEvent('delayed', await send('forged', 'ann@forged.test'))
    assert.match(String(delayed['reply']), /^451 4\.7\.5 .*demanded by the TLSA records \(DANE\) of forged\.test/)
    assert.equal(secure.copies.get('forged'), undefined)
  })
})
