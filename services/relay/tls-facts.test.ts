import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { TlsResultType } from '../../shared/aggregate-reports/facts.ts'
import { CertificateError } from '../../shared/certificate-fault.ts'
import type { TlsOutcome } from '../../shared/smtp-client/open-connection.ts'
import type { Demand, StsDemand } from './domain-policy.ts'
import { passedOverFact, sessionFact, sessionPolicy } from './tls-facts.ts'

const sts: StsDemand = {
  policy: 'mta-sts',
  domain: 'far.test',
  mode: 'testing',
  named: true,
  published: { mode: 'enforce', mx: ['mx.far.test'], maxAgeMs: 86_400_000 },
}
const record = { usage: 3, selector: 1, matching: 1, data: Buffer.from('abcd', 'hex') }
const dane: Demand = { policy: 'dane', domain: 'far.test', mode: 'enforce', records: [record], base: 'mx.far.test' }
const session = { version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384', resumed: false }
const secured: TlsOutcome = { kind: 'secured', session }

function withCode(code: string): Error {
  return Object.assign(new Error('handshake'), { code })
}

function failed(error: Error): TlsOutcome {
  return { kind: 'failed', error }
}

const rows: readonly (readonly [string, Demand | undefined, TlsOutcome, TlsResultType | undefined])[] = [
  ['TLS, and nothing is asked', undefined, secured, undefined],
  [
    'TLS with any certificate, and nothing is asked',
    undefined,
    { kind: 'secured', session: { ...session, distrust: 'CERT_HAS_EXPIRED' } },
    undefined,
  ],
  ['no STARTTLS, and nothing is asked', undefined, { kind: 'plain' }, 'starttls-not-supported'],
  ['a handshake that breaks', undefined, failed(withCode('ECONNRESET')), 'validation-failure'],
  ['MTA-STS with a good certificate', sts, secured, undefined],
  [
    'MTA-STS with another name',
    sts,
    { kind: 'secured', session: { ...session, distrust: 'ERR_TLS_CERT_ALTNAME_INVALID' } },
    'certificate-host-mismatch',
  ],
  [
    'MTA-STS with an old certificate',
    { ...sts, mode: 'enforce' },
    failed(withCode('CERT_HAS_EXPIRED')),
    'certificate-expired',
  ],
  [
    'MTA-STS with a certificate of its own',
    { ...sts, mode: 'enforce' },
    failed(withCode('DEPTH_ZERO_SELF_SIGNED_CERT')),
    'certificate-not-trusted',
  ],
  ['MTA-STS and a host that the policy does not name', { ...sts, named: false }, secured, 'validation-failure'],
  ['DANE with its certificate', dane, secured, undefined],
  ['DANE with another', dane, failed(new CertificateError('another', 'not-trusted')), 'certificate-not-trusted'],
  ['DANE with records that nobody can use', { ...dane, records: [] }, secured, 'tlsa-invalid'],
]

for (const [what, demand, outcome, result] of rows)
  test(`${what}: ${result ?? 'a success'}`, () => {
    const policy = sessionPolicy('far.test', demand, undefined)
    const hop = { endpoint: { host: 'mx.far.test' }, ...(demand === undefined ? {} : { demand }) }
    const fact = sessionFact(hop, policy, { ...outcome, localAddress: '192.0.2.1', remoteAddress: '192.0.2.2' })
    assert.deepEqual([fact.domain, fact.failure?.result], ['far.test', result])
    if (result !== undefined)
      assert.deepEqual(
        [fact.failure?.sendingIp, fact.failure?.host, fact.failure?.receivingIp],
        ['192.0.2.1', 'mx.far.test', '192.0.2.2'],
      )
  })

test('the policy is told as its domain published it', () => {
  assert.deepEqual(sessionPolicy('far.test', sts, undefined).found, {
    type: 'sts',
    strings: ['version: STSv1', 'mode: enforce', 'mx: mx.far.test', 'max_age: 86400'],
    mxHosts: ['mx.far.test'],
  })
  assert.deepEqual(sessionPolicy('far.test', dane, undefined).found, {
    type: 'tlsa',
    strings: ['3 1 1 abcd'],
    mxHosts: [],
  })
})

test('a policy that cannot be had is told whatever becomes of the session', () => {
  for (const [kind, result] of [
    ['fetch', 'sts-policy-fetch-error'],
    ['invalid', 'sts-policy-invalid'],
    ['certificate', 'sts-webpki-invalid'],
  ] as const) {
    const policy = sessionPolicy('far.test', undefined, { kind, reason: 'because\r\nof' })
    const fact = sessionFact({ endpoint: { host: 'mx.far.test' } }, policy, secured)
    assert.deepEqual([fact.policy.type, fact.failure?.result, fact.failure?.reason], ['sts', result, 'because of'])
  }
})

test('a host that may not be asked counts as a failure of its policy', () => {
  const host = { name: 'mx.far.test', preference: 10, addresses: [] }
  const told = (demand: Demand) =>
    passedOverFact({ ...host, demand }, sessionPolicy('far.test', demand, undefined)).failure?.result
  assert.equal(told({ ...dane, records: 'failed' }), 'dnssec-invalid')
  assert.equal(told({ ...sts, mode: 'enforce', named: false }), 'validation-failure')
})
