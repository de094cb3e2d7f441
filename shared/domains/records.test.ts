import assert from 'node:assert/strict'
import { test } from 'node:test'

import { parsePolicy } from '../mta-sts/policy.ts'
import { announcedId } from '../mta-sts/record.ts'
import { policyText, recordsToPublish } from './records.ts'

const facts = {
  domain: 'example.org',
  hostname: 'mx.example.org',
  dkim: [
    { name: 'main._domainkey.example.org', value: 'v=DKIM1', zoneLine: 'main._domainkey.example.org. IN TXT "…"' },
  ],
  certificateKeys: ['ab'.repeat(32)],
  addresses: ['192.0.2.1', '2001:db8::1'],
  smtpPort: 25,
}

test('each record that the checks look for can be published as it stands', () => {
  assert.deepEqual(
    recordsToPublish(facts).map(({ title, line }) => `${title}: ${line}`),
    [
      'MX: example.org. IN MX 10 mx.example.org.',
      'A: mx.example.org. IN A 192.0.2.1',
      'PTR: PTR of 192.0.2.1, at whoever gave you the address: mx.example.org.',
      'AAAA: mx.example.org. IN AAAA 2001:db8::1',
      'PTR: PTR of 2001:db8::1, at whoever gave you the address: mx.example.org.',
      'SPF: example.org. IN TXT "v=spf1 mx a:mx.example.org -all"',
      'DKIM main: main._domainkey.example.org. IN TXT "…"',
      'DMARC: _dmarc.example.org. IN TXT "v=DMARC1; p=quarantine; rua=mailto:postmaster@example.org"',
      `MTA-STS: _mta-sts.example.org. IN TXT "v=STSv1; id=${policyId('mx.example.org')}"`,
      'TLS-RPT: _smtp._tls.example.org. IN TXT "v=TLSRPTv1; rua=mailto:postmaster@example.org"',
      `TLSA: _25._tcp.mx.example.org. IN TLSA 3 1 1 ${'ab'.repeat(32)}`,
    ],
  )
  const unknown = recordsToPublish({ ...facts, addresses: [], certificateKeys: [], dkim: [] })
  assert.ok(unknown.some(({ line }) => line === 'mx.example.org. IN A ADDRESS'))
})

test('the policy for MTA-STS is one that senders can read, under an id that changes with it', () => {
  assert.deepEqual(parsePolicy(policyText('mx.example.org')), {
    mode: 'enforce',
    mx: ['mx.example.org'],
    maxAgeMs: 604_800_000,
  })
  assert.notEqual(policyId('mx.example.org'), policyId('mx2.example.org'))
})

/** As senders read it. */
function policyId(hostname: string): string {
  const record = recordsToPublish({ ...facts, hostname }).find(({ check }) => check === 'mta-sts')
  return announcedId([/"([^"]*)"/.exec(record?.line ?? '')?.[1] ?? '']) ?? ''
}
