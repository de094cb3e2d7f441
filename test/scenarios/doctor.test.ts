import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

import { policyText, startPolicyHost } from '../../shared/mta-sts/testing.ts'
import { dkimRecord } from '../../shared/dkim/dns-record.ts'
import { atEnd } from '../support/at-end.ts'
import { startDns } from '../support/dns.ts'
import type { DnsZone } from '../support/dns.ts'
import { fixture } from '../support/fixtures.ts'
import { MailSystem } from '../support/mail-system.ts'

/** Of 127.0.0.1 /etc/hosts has a name. */
const conf = `pki "mx.sluice.test" cert "{{fixtures}}/tls/server.pem" key "{{fixtures}}/tls/server.key"
listen on 127.0.0.2 port {{smtp}} tls pki "mx.sluice.test" hostname "mx.sluice.test"
action "here" maildir "{{data}}/mail/%{user.username}"
match from any for domain "sluice.test" action "here"
`

const pipeline = (dns: string, policyPort: number): string => `users from any
resolver "${dns}" validating
relay port {{smtp}}
tls ca "{{fixtures}}/tls/ca.pem"
mta-sts opportunistic port ${policyPort}
dkim domain "sluice.test" selector "main" key "{{fixtures}}/dkim/rsa.key"
spam list client "bl.test"
`

const key = dkimRecord(readFileSync(fixture('dkim/rsa.key'), 'utf8'), 'main', 'sluice.test')

const sound: DnsZone = {
  'sluice.test': { MX: [[10, 'mx.sluice.test']], TXT: ['v=spf1 mx -all', 'site-verification=1'], signed: true },
  'mx.sluice.test': { A: ['127.0.0.2'] },
  '2.0.0.127.in-addr.arpa': { PTR: ['mx.sluice.test'] },
  'main._domainkey.sluice.test': { TXT: [key.value] },
  '_dmarc.sluice.test': { TXT: ['v=DMARC1; p=reject'] },
  '2.0.0.127.bl.test': 'NXDOMAIN',
}

const broken: DnsZone = {
  'sluice.test': { MX: [[10, 'old.sluice.test']], TXT: ['v=spf1 ip4:192.0.2.1 -all'] },
  'old.sluice.test': 'NXDOMAIN',
  '2.0.0.127.in-addr.arpa': { PTR: ['dsl-7.provider.test'] },
  'main._domainkey.sluice.test': 'NXDOMAIN',
  '_dmarc.sluice.test': { TXT: ['v=DMARC1; p=perhaps'] },
  '2.0.0.127.bl.test': { A: ['127.0.0.2'], TXT: ['a dial-up host'] },
}

interface Finding {
  readonly check: string
  readonly verdict: string
  readonly text: string
  readonly publish?: string
}

test('the doctor tells how the world sees a domain, and what to publish', async (t) => {
  const dns = await startDns(sound)
  atEnd(t, () => dns.stop())
  const pem = {
    cert: readFileSync(fixture('tls/server.pem'), 'utf8'),
    key: readFileSync(fixture('tls/server.key'), 'utf8'),
  }
  const policies = await startPolicyHost(pem, () => policyText('enforce', ['mx.sluice.test']))
  atEnd(t, () => policies.close())
  const system = await MailSystem.start({
    conf,
    pipeline: pipeline(dns.address, policies.port),
    env: { SMTPD_HOSTNAME: 'mx.sluice.test' },
  })
  atEnd(t, () => system.stop())
  const examine = async (...args: readonly string[]) => {
    const { code, stdout, stderr } = await system.ctl('doctor', 'sluice.test', '--json', ...args)
    assert.equal(stderr, '')
    return { code, findings: JSON.parse(stdout) as readonly Finding[] }
  }
  const verdicts = (findings: readonly Finding[]) =>
    findings.map(({ check, verdict }) => `${check} ${verdict}`).join(', ')

  const good = await examine('--outgoing', 'mx.sluice.test')
  assert.equal(
    verdicts(good.findings),
    'mx good, address good, reverse good, spf good, dkim good, dmarc good, ' +
      'mta-sts absent, tls-rpt absent, tlsa absent, incoming good, outgoing good, lists good',
    JSON.stringify(good.findings, undefined, 2),
  )
  assert.equal(good.code, 0)

  dns.set(broken)
  const bad = await examine('--outgoing', 'old.sluice.test')
  assert.equal(
    verdicts(bad.findings),
    'mx wrong, address good, reverse wrong, spf wrong, dkim wrong, dmarc wrong, ' +
      'mta-sts absent, tls-rpt absent, tlsa absent, incoming wrong, outgoing wrong, lists wrong',
    JSON.stringify(bad.findings, undefined, 2),
  )
  assert.equal(bad.code, 1)
  const published = bad.findings.flatMap(({ publish }) => publish ?? [])
  assert.ok(published.includes('sluice.test. IN MX 10 mx.sluice.test.'))
  assert.ok(published.includes(key.zoneLine))
  assert.ok(published.includes('sluice.test. IN TXT "v=spf1 mx a:mx.sluice.test -all"'))
  assert.match(bad.findings.at(-1)?.text ?? '', /127\.0\.0\.2 is on bl\.test: a dial-up host/)

  dns.set(sound)
  dns.set({
    '_mta-sts.sluice.test': { TXT: ['v=STSv1; id=1;'] },
    'mta-sts.sluice.test': { A: ['127.0.0.1'] },
    [`_${system.port('smtp')}._tcp.mx.sluice.test`]: { TLSA: [`030101${'ab'.repeat(32)}`], signed: true },
  })
  const pinned = await examine()
  const [sts, tlsa] = pinned.findings.filter(({ check }) => check === 'mta-sts' || check === 'tlsa')
  assert.match(sts?.text ?? '', /cannot be had: .*altnames/, 'the certificate is not the one of mta-sts.sluice.test')
  assert.match(tlsa?.text ?? '', /the certificate is not the one of the TLSA records/)

  const plain = await system.ctl('doctor', 'sluice.test')
  assert.match(plain.stdout, /^good +mx +sluice\.test is served by mx\.sluice\.test$/m)
  const nonsense = await system.ctl('doctor', 'no domain')
  assert.deepEqual([nonsense.code, nonsense.stdout], [2, ''])
})
