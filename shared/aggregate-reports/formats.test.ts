import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { dmarcXml, escapeXml } from './dmarc-xml.ts'
import { boundsOf } from './facts.ts'
import type { TlsPolicyFound } from './facts.ts'
import { dmarcFact, testDay, tlsFact } from './testing.ts'
import { tlsJson } from './tls-json.ts'

const frame = {
  organisation: 'Müller & <Söhne>',
  contact: 'reports@mx.test',
  reportId: 'r1@mx.test',
  ...boundsOf(testDay),
}

test('a report says who found what about whose mail, and what was done', () => {
  const rows = [
    { fact: dmarcFact({ signatures: [{ domain: 'x.test', result: 'fail' }] }), count: 1 },
    {
      fact: dmarcFact({
        sourceIp: '2001:db8::7',
        disposition: 'quarantine',
        reasons: [{ type: 'local_policy', comment: 'marked as junk' }],
      }),
      count: 41,
    },
  ]
  const xml = dmarcXml(frame, 'north.test', rows)
  assert.match(xml, /<org_name>Müller &amp; &lt;Söhne&gt;<\/org_name>/)
  assert.match(xml, /<begin>1795132800<\/begin>\s+<end>1795219199<\/end>/)
  assert.match(xml, /<policy_published>\s+<domain>north\.test<\/domain>\s+<adkim>r<\/adkim>/)
  assert.match(xml, /<source_ip>2001:db8::7<\/source_ip>\s+<count>41<\/count>[^]*<count>1<\/count>/)
  assert.match(xml, /<reason><type>local_policy<\/type><comment>marked as junk<\/comment><\/reason>/)
  assert.match(xml, /<dkim><domain>x\.test<\/domain><result>fail<\/result><\/dkim>/)
  assert.match(xml, /<spf><domain>lists\.test<\/domain><scope>mfrom<\/scope><result>fail<\/result><\/spf>/)
  assert.doesNotMatch(xml, /error/)
})

test('a report that must be smaller keeps the rows that count most, and says how many it lacks', () => {
  const rows = [1, 9, 5].map((count) => ({ fact: dmarcFact({ sourceIp: `192.0.2.${count}` }), count }))
  const xml = dmarcXml(frame, 'north.test', rows, 1)
  assert.deepEqual(
    [...xml.matchAll(/<count>(\d+)</g)].map((found) => found[1]),
    ['9'],
  )
  assert.match(xml, /<error>2 rows were left out/)
})

test('the text of strangers stays text', () => {
  assert.equal(escapeXml(`<a b="c">&amp;'\u0000\uD800\uFFFE]]>`), '&lt;a b=&quot;c&quot;&gt;&amp;amp;&apos;???]]&gt;')
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const escaped = escapeXml(text)
      assert.doesNotMatch(escaped, /[<>"']|&(?!(?:amp|lt|gt|quot|apos);)/)
      assert.doesNotMatch(escaped, /[\u0000-\u0008\u000B\u000C\u000E-\u001F\uFFFE\uFFFF]/u)
    }),
  )
})

test('sessions are counted for each policy, and failures for each kind', () => {
  const sts: TlsPolicyFound = {
    type: 'sts',
    strings: ['version: STSv1', 'mode: enforce', 'mx: mx.far.test', 'max_age: 86400'],
    mxHosts: ['mx.far.test'],
  }
  const failure = {
    result: 'certificate-expired',
    sendingIp: '192.0.2.1',
    host: 'mx.far.test',
    receivingIp: '192.0.2.2',
    reason: 'CERT_HAS_EXPIRED',
  } as const
  const rows = [
    { fact: tlsFact({ policy: sts }), count: 7 },
    { fact: tlsFact({ policy: sts, failure }), count: 2 },
    { fact: tlsFact({ failure: { result: 'starttls-not-supported' } }), count: 3 },
  ]
  assert.deepEqual(JSON.parse(tlsJson({ ...frame, organisation: 'Example' }, 'far.test', rows)), {
    'organization-name': 'Example',
    'date-range': { 'start-datetime': '2026-11-20T00:00:00Z', 'end-datetime': '2026-11-20T23:59:59Z' },
    'contact-info': 'reports@mx.test',
    'report-id': 'r1@mx.test',
    policies: [
      {
        policy: {
          'policy-type': 'sts',
          'policy-string': sts.strings,
          'policy-domain': 'far.test',
          'mx-host': ['mx.far.test'],
        },
        summary: { 'total-successful-session-count': 7, 'total-failure-session-count': 2 },
        'failure-details': [
          {
            'result-type': 'certificate-expired',
            'sending-mta-ip': '192.0.2.1',
            'receiving-mx-hostname': 'mx.far.test',
            'receiving-ip': '192.0.2.2',
            'failed-session-count': 2,
            'failure-reason-code': 'CERT_HAS_EXPIRED',
          },
        ],
      },
      {
        policy: { 'policy-type': 'no-policy-found', 'policy-domain': 'far.test' },
        summary: { 'total-successful-session-count': 0, 'total-failure-session-count': 3 },
        'failure-details': [{ 'result-type': 'starttls-not-supported', 'failed-session-count': 3 }],
      },
    ],
  })
})
