import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deflateRawSync, gzipSync } from 'node:zlib'

import fc from 'fast-check'

import { zipOf } from '../../test/support/archives.ts'
import { readReports } from './read-reports.ts'
import type { FoundReports, ReportContent } from './read-reports.ts'
import { dmarcRow, dmarcXml, feedbackMail, gzipped, reportMail, tlsJson } from './testing.ts'
import type { Attachment } from './testing.ts'

function dmarc({ reports, faults }: FoundReports): ReportContent & { readonly kind: 'dmarc' } {
  const [report] = reports
  assert.deepEqual(faults, [])
  assert.ok(report?.kind === 'dmarc')
  return report
}

const fromXml = (xml: string) => dmarc(readReports(reportMail([gzipped(xml)])))

const zip = (text: string, name = 'report.xml'): Attachment['octets'] => zipOf([{ name, octets: Buffer.from(text) }])

test('an aggregate report is read with its policy, its sources and why they passed or failed', () => {
  const report = fromXml(
    dmarcXml({
      rows: [
        dmarcRow({
          results: `<dkim><domain>example.org</domain><selector>s1</selector><result>pass</result></dkim>
            <spf><domain>bounce.example.org</domain><scope>mfrom</scope><result>pass</result></spf>`,
        }),
        dmarcRow({
          ip: '2001:DB8::2',
          count: '3',
          disposition: 'quarantine',
          dkim: 'fail',
          spf: 'fail',
          headerFrom: 'News.Example.org.',
          evaluated: '<reason><type>mailing_list</type><comment>list</comment></reason>',
        }),
      ],
    }),
  )
  assert.deepEqual(report, {
    kind: 'dmarc',
    org: 'Receiver Inc.',
    contact: 'dmarc@receiver.test',
    reportId: '4711',
    beginAt: 1_795_132_800_000,
    endAt: 1_795_219_199_000,
    domain: 'example.org',
    policy: { p: 'quarantine', sp: 'none', adkim: 'r', aspf: 'r', pct: '100' },
    rows: [
      {
        ip: '192.0.2.1',
        count: 12,
        disposition: 'none',
        dkim: true,
        spf: true,
        headerFrom: 'example.org',
        reasons: [],
        signatures: [{ domain: 'example.org', selector: 's1', result: 'pass' }],
        spfChecks: [{ domain: 'bounce.example.org', result: 'pass' }],
      },
      {
        ip: '2001:db8::2',
        count: 3,
        disposition: 'quarantine',
        dkim: false,
        spf: false,
        headerFrom: 'news.example.org',
        reasons: ['mailing_list'],
        signatures: [],
        spfChecks: [],
      },
    ],
    leftOut: 0,
  })
})

test('a report is read however it is packed, and whatever type its part states', () => {
  const xml = dmarcXml()
  const gz = gzipSync(xml)
  const utf16 = Buffer.from(`\uFEFF${xml}`, 'utf16le')
  const rows: readonly Attachment[] = [
    { type: 'application/gzip', name: 'a.xml.gz', octets: gz },
    { type: 'application/x-gzip', octets: gz },
    { type: 'application/octet-stream', octets: gz },
    { type: 'application/zip', name: 'a.zip', octets: zip(xml) },
    { type: 'application/x-zip-compressed', name: 'a.zip', octets: zip(xml) },
    { type: 'application/octet-stream', octets: zip(xml) },
    { type: 'text/plain', name: 'a.zip', octets: zip(xml) },
    { type: 'application/zip', octets: zipOf([{ name: 'a.xml', octets: Buffer.from(xml), method: 0 }]) },
    { type: 'application/zip', octets: zipOf([{ name: 'a.xml', octets: Buffer.from(xml), streamed: true }]) },
    {
      type: 'application/zip',
      octets: zipOf([
        { name: 'a.xml', octets: Buffer.from(xml) },
        { name: '__MACOSX/._a.xml', octets: Buffer.from('x') },
      ]),
    },
    { type: 'text/xml', octets: Buffer.from(xml) },
    { type: 'application/xml', octets: Buffer.from(`\uFEFF\r\n${xml.slice(xml.indexOf('<feedback'))}`) },
    { type: 'text/xml', octets: utf16 },
    { type: 'text/xml', octets: Buffer.from(xml.replace('UTF-8', 'utf-16')) },
    {
      type: 'text/xml',
      octets: Buffer.from(xml.replace('UTF-8', 'windows-1252').replace('Receiver', 'Empf\u00e4nger'), 'latin1'),
    },
  ]
  for (const attachment of rows)
    assert.equal(dmarc(readReports(reportMail([attachment]))).domain, 'example.org', JSON.stringify(attachment.type))
})

test('a mail that is nothing but the report is read', () => {
  const head = 'From: a@receiver.test\r\nContent-Type: application/gzip\r\nContent-Transfer-Encoding: base64\r\n\r\n'
  const mail = Buffer.from(`${head}${gzipSync(dmarcXml()).toString('base64')}\r\n`)
  assert.equal(dmarc(readReports(mail)).reportId, '4711')
})

test('what real reporters do otherwise is understood', () => {
  const versions: readonly (readonly [string, string])[] = [
    [
      'a namespace',
      dmarcXml().replace('<feedback>', '<feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0"><version>1.0</version>'),
    ],
    [
      'a prefix',
      dmarcXml()
        .replaceAll(/<(\/?)(?=[a-z])/g, '<$1ns0:')
        .replace('<ns0:feedback>', '<ns0:feedback xmlns:ns0="x">'),
    ],
    [
      'unknown elements',
      dmarcXml({
        metadata: '<generator>x</generator><extra_contact_info>y</extra_contact_info>',
        policy: '<fo>1</fo><np>none</np><discovery_method>treewalk</discovery_method><testing>n</testing>',
      }),
    ],
    ['an ampersand as it is', dmarcXml({ org: 'Smith & Sons' })],
    ['names of HTML', dmarcXml({ org: 'Smith&nbsp;Inc' })],
    ['capital letters', dmarcXml().replaceAll('source_ip', 'Source_IP')],
    ['comments and CDATA', dmarcXml({ org: '<!-- x --><![CDATA[Receiver]]>' })],
    ['something behind its end', `${dmarcXml()}\u0000\u0000`],
    ['times in milliseconds', dmarcXml({ begin: '1795132800000', end: '1795219199000' })],
    ['times with a fraction', dmarcXml({ begin: '1795132800.5', end: '1795219199.0' })],
    ['dates', dmarcXml({ begin: '2026-11-20T00:00:00Z', end: '2026-11-20T23:59:59Z' })],
    ['no name but an address', dmarcXml().replace(/<org_name>.*?<\/org_name>/, '')],
    ['no id', dmarcXml().replace(/<report_id>.*?<\/report_id>/, '')],
    ['no end', dmarcXml().replace(/<end>.*?<\/end>/, '')],
    ['blanks around values', dmarcXml({ rows: [dmarcRow({ ip: '\n 192.0.2.1 \n', count: ' 12 ' })] })],
  ]
  for (const [what, xml] of versions) {
    const report = fromXml(xml)
    assert.equal(report.domain, 'example.org', what)
    assert.equal(Math.trunc(report.beginAt / 1000), 1_795_132_800, what)
    assert.deepEqual(
      report.rows.map(({ ip, count, headerFrom }) => [ip, count, headerFrom]),
      [['192.0.2.1', 12, 'example.org']],
      what,
    )
  }
  assert.equal(fromXml(dmarcXml({ org: 'Smith & Sons' })).org, 'Smith & Sons')
  const { policy } = fromXml(dmarcXml({ policy: '<np>reject</np><testing>y</testing>' }))
  assert.deepEqual([policy.np, policy.testing], ['reject', 'y'])
  assert.equal(fromXml(dmarcXml({ rows: [dmarcRow({ headerFrom: '' })] })).rows[0]?.headerFrom, 'example.org')
})

test('rows that say nothing are left out and counted, and the others stay', () => {
  const report = fromXml(
    dmarcXml({
      rows: [dmarcRow({ ip: 'nowhere' }), dmarcRow(), dmarcRow({ count: '-1' }), dmarcRow({ count: '1e99' })],
    }),
  )
  assert.deepEqual([report.rows.length, report.leftOut], [1, 3])
})

test('a report without any mail is one', () => {
  assert.deepEqual(fromXml(dmarcXml({ rows: [] })).rows, [])
})

test('of a report with very many sources so much is kept as fits, and the rest is counted', () => {
  const rows = Array.from({ length: 9_000 }, (_, index) => dmarcRow({ ip: `10.0.${index >> 8}.${index & 255}` }))
  const report = fromXml(dmarcXml({ rows }))
  assert.equal(report.rows.length + report.leftOut, rows.length)
  assert.ok(report.leftOut > 0 && JSON.stringify(report).length < 1_100_000)
})

test('what cannot be a report is told by its fault, and nothing is kept', () => {
  const rows: readonly (readonly [string, Attachment, RegExp])[] = [
    ['another root', gzipped('<html><body>x</body></html>'), /root element of the XML is <html>/],
    ['an end too early', gzipped(dmarcXml().slice(0, 400)), /not well-formed XML/],
    ['no domain', gzipped(dmarcXml({ domain: '' })), /which domain/],
    ['a domain that is none', gzipped(dmarcXml({ domain: '<![CDATA[<script>]]>' })), /which domain/],
    ['no time', gzipped(dmarcXml({ begin: 'yesterday' })), /which time/],
    ['a time nobody lived in', gzipped(dmarcXml({ begin: '12' })), /which time/],
    ['no metadata', gzipped('<feedback><policy_published/></feedback>'), /no <report_metadata>/],
    ['no policy', gzipped('<feedback><report_metadata/></feedback>'), /no <policy_published>/],
    [
      'a gzip file that is cut off',
      { type: 'application/gzip', octets: gzipSync(dmarcXml()).subarray(0, 50) },
      /cannot be unpacked/,
    ],
    [
      'two files',
      {
        type: 'application/zip',
        octets: zipOf(['a.xml', 'b.xml'].map((name) => ({ name, octets: Buffer.from('x') }))),
      },
      /holds 2 files/,
    ],
    [
      'an archive of nothing',
      { type: 'application/zip', octets: Buffer.concat([Buffer.from('PK\x03\x04'), zipOf([])]) },
      /holds 0 files/,
    ],
    [
      'an encrypted archive',
      { type: 'application/zip', octets: zipOf([{ name: 'a.xml', octets: Buffer.from('x'), encrypted: true }]) },
      /encrypted/,
    ],
    [
      'an odd method',
      { type: 'application/zip', octets: zipOf([{ name: 'a.xml', octets: Buffer.from('x'), method: 99 }]) },
      /\(99\)/,
    ],
    [
      'an archive without an end',
      { type: 'application/zip', octets: zip(dmarcXml()).subarray(0, 100) },
      /no directory/,
    ],
    ['other JSON', { type: 'application/json', octets: Buffer.from('{"a":1}') }, /no policies/],
    ['no JSON', { type: 'application/json', octets: Buffer.from('{"a":') }, /well-formed JSON/],
  ]
  for (const [what, attachment, fault] of rows) {
    const { reports, faults } = readReports(reportMail([attachment]))
    assert.deepEqual(reports, [], what)
    assert.match(faults.join('\n'), fault, what)
  }
  assert.match(readReports(reportMail([])).faults.join(), /no report in it/)
})

test('what is meant to hurt is refused before it does', () => {
  const doctype = dmarcXml().replace(
    '<feedback>',
    '<!DOCTYPE feedback [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><feedback>',
  )
  const deep = `<feedback>${'<a>'.repeat(100_000)}`
  const wide = `<feedback><record>${'<a></a>'.repeat(100_000)}</record></feedback>`
  const longName = `<feedback><${'a'.repeat(1_000_000)}></feedback>`
  const rows: readonly (readonly [string, Buffer, RegExp])[] = [
    ['a document type', gzipSync(doctype), /DOCTYPE/],
    ['depth', gzipSync(deep), /deep in each other/],
    ['width', gzipSync(wide), /holds more than 1000/],
    ['a long name', gzipSync(longName), /not well-formed XML: Max buffer length/],
    ['a gzip bomb', gzipSync(Buffer.alloc(60 * 1024 * 1024, '<')), /unpacks to more than/],
    ['a zip bomb', zipOf([{ name: 'a.xml', octets: Buffer.alloc(60 * 1024 * 1024) }]), /unpacks to more than/],
    ['a small bomb', gzipSync(Buffer.alloc(5 * 1024 * 1024)), /unpacks to more than/],
    ['nothing but depth', Buffer.from(`{"policies":${'['.repeat(200_000)}`), /JSON/],
  ]
  for (const [what, octets, fault] of rows) {
    const { reports, faults } = readReports(reportMail([{ type: 'application/octet-stream', octets }]))
    assert.deepEqual(reports, [], what)
    assert.match(faults.join('\n'), fault, what)
  }
})

test('texts of a report are on one line and cut to size', () => {
  const report = fromXml(dmarcXml({ org: `a\n\u202eb${'x'.repeat(5_000)}`, reportId: 'i'.repeat(9_999) }))
  assert.equal(report.org.length, 200)
  assert.ok(report.org.startsWith('a b'))
  assert.equal(report.reportId.length, 200)
})

test('a report on TLS is read, packed or not, with its failures', () => {
  const packed = { type: 'application/tlsrpt+gzip', name: 'a.json.gz', octets: gzipSync(tlsJson()) }
  const plain = { type: 'application/tlsrpt+json', octets: Buffer.from(`\uFEFF${tlsJson()}`) }
  for (const attachment of [packed, plain]) {
    const { reports, faults } = readReports(reportMail([attachment]))
    assert.deepEqual(faults, [])
    assert.deepEqual(reports, [
      {
        kind: 'tls',
        org: 'Receiver Inc.',
        contact: 'tls@receiver.test',
        reportId: '2026-11-20T00:00:00Z_example.org',
        beginAt: Date.UTC(2026, 10, 20),
        endAt: Date.UTC(2026, 10, 20, 23, 59, 59),
        policies: [
          {
            type: 'sts',
            domain: 'example.org',
            successful: 5326,
            failed: 3,
            failures: [
              {
                type: 'certificate-expired',
                count: 3,
                mx: 'mx.example.org',
                sendingIp: '2001:db8::1',
                detail: 'certificate has expired',
              },
            ],
          },
        ],
      },
    ])
  }
})

test('a report on TLS with numbers in quotes, without summary or with oddities is read as far as it goes', () => {
  const policy = {
    'policy-type': 'no-policy-found',
    'policy-string': '',
    'policy-domain': 'EXAMPLE.org',
    'mx-host': 'x',
  }
  const odd = tlsJson({
    policies: [
      {
        policy,
        summary: { 'total-successful-session-count': '7' },
        'failure-details': [null, 3, { 'result-type': 'x y' }],
      },
      { policy: { 'policy-domain': '' } },
      null,
    ],
  })
  const { reports } = readReports(reportMail([{ type: 'application/tlsrpt+json', octets: Buffer.from(odd) }]))
  const [report] = reports
  assert.ok(report?.kind === 'tls')
  assert.deepEqual(report.policies, [
    {
      type: 'no-policy-found',
      domain: 'example.org',
      successful: 7,
      failed: 1,
      failures: [{ type: 'unknown', count: 1 }],
    },
  ])
})

test('of a complaint it is kept what it is about, and nothing of the message or of who wrote', () => {
  const { reports, faults } = readReports(
    feedbackMail([
      'Feedback-Type: auth-failure',
      'User-Agent: SomeGenerator/1.0',
      'Version: 1',
      'Original-Mail-From: <somespammer@example.org>',
      'Original-Rcpt-To: <user@receiver.test>',
      'Arrival-Date: Fri, 20 Nov 2026 14:00:00 +0000',
      'Reporting-MTA: dns; mail.receiver.test',
      'Source-IP: 192.0.2.9',
      'Reported-Domain: example.org',
      'Auth-Failure: dkim',
      'Delivery-Result: reject',
      'Incidents: 2',
    ]),
  )
  assert.deepEqual(faults, [])
  assert.deepEqual(reports, [
    {
      kind: 'abuse',
      type: 'auth-failure',
      org: 'mail.receiver.test',
      incidents: 2,
      domain: 'example.org',
      sourceIp: '192.0.2.9',
      arrivedAt: Date.UTC(2026, 10, 20, 14),
      authFailure: 'dkim',
      deliveryResult: 'reject',
    },
  ])
  assert.match(readReports(feedbackMail(['Version: 1'])).faults.join(), /no Feedback-Type/)
})

test('a mail with several reports brings them all, also beside one that cannot be read', () => {
  const second = gzipped(dmarcXml({ reportId: '4712' }))
  const { reports, faults } = readReports(reportMail([gzipped(dmarcXml()), gzipped('<no>'), second]))
  assert.deepEqual(
    reports.map((report) => report.kind === 'dmarc' && report.reportId),
    ['4711', '4712'],
  )
  assert.equal(faults.length, 1)
})

test('no octets make it throw', () => {
  const xml = fc.constantFrom(
    '<feedback>',
    '<record>',
    '</record>',
    '<!DOCTYPE',
    '<![CDATA[',
    '&#x;',
    '&a;',
    '\u0000',
    '"',
    '<a b=c>',
    dmarcRow(),
  )
  const anything = fc.oneof(
    fc.uint8Array({ maxLength: 300 }).map((octets) => Buffer.from(octets)),
    fc.array(xml, { maxLength: 12 }).map((words) => Buffer.from(words.join(''))),
    fc.json().map((text) => Buffer.from(text)),
    fc
      .uint8Array({ maxLength: 100 })
      .map((octets) => Buffer.concat([Buffer.from([0x1f, 0x8b, 8]), Buffer.from(octets)])),
    fc.uint8Array({ maxLength: 100 }).map((octets) => gzipSync(octets)),
  )
  fc.assert(
    fc.property(anything, (octets) => {
      for (const mail of [octets, reportMail([{ type: 'application/octet-stream', octets }])]) {
        const { reports, faults } = readReports(mail)
        assert.ok(reports.length + faults.length > 0)
      }
    }),
    { numRuns: 300 },
  )
})

test('no damage to a report or its archive makes it throw', () => {
  const originals = [
    gzipSync(dmarcXml()),
    zip(dmarcXml()),
    Buffer.from(dmarcXml()),
    Buffer.from(tlsJson()),
    deflateRawSync('x'),
  ]
  const change = fc.tuple(fc.constantFrom(...originals), fc.nat(), fc.integer({ min: 0, max: 255 }), fc.nat())
  fc.assert(
    fc.property(change, ([original, at, octet, cut]) => {
      const damaged = Buffer.from(original)
      damaged[at % damaged.length] = octet
      const octets = cut % 3 === 0 ? damaged.subarray(0, cut % damaged.length) : damaged
      const { reports, faults } = readReports(reportMail([{ type: 'text/xml', octets }]))
      assert.ok(reports.length + faults.length > 0)
    }),
    { numRuns: 500 },
  )
})
