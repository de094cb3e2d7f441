import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'

import type { ReceivedReport } from '../../shared/received-reports/model.ts'
import type { ReportKind, ReportOf, ReportsReader } from '../../shared/received-reports/reader.ts'
import { sampleAbuse, sampleDmarc, sampleRow, sampleTls } from '../../shared/received-reports/testing.ts'
import { viewAbuse, viewDmarc, viewTls } from '../../shared/received-reports/views.ts'
import { reportsText } from './show-reports.ts'
import { openTerminal } from './terminal.ts'

const nowAt = Date.UTC(2026, 10, 21, 12)
const terminal = openTerminal({ input: new PassThrough(), output: new PassThrough(), errors: new PassThrough() }, {})

async function textOf(kept: readonly ReceivedReport[], domain?: string): Promise<readonly string[]> {
  const reader: ReportsReader = {
    async read<Wanted extends ReportKind>(kind: Wanted) {
      const isWanted = (report: ReceivedReport): report is ReportOf<Wanted> => report.kind === kind
      return { reports: kept.filter(isWanted), cut: false }
    },
  }
  const question = { days: 30, ...(domain === undefined ? {} : { domain }) }
  const seen = {
    dmarc: await viewDmarc(reader, question, nowAt),
    tls: await viewTls(reader, question, nowAt),
    abuse: await viewAbuse(reader, question, nowAt),
  }
  return reportsText(seen, domain !== undefined, terminal)
}

const hostile = '\u001b[2J\r\u202e'
const kept = [
  sampleDmarc({ rows: [sampleRow(), sampleRow({ ip: '198.51.100.7', count: 3, dkim: false, spf: false })] }),
  sampleDmarc({ domain: 'example.net', mail: { dmarc: 'fail' } }),
  sampleTls({
    policies: [
      {
        type: 'sts',
        domain: 'example.org',
        successful: 9,
        failed: 1,
        failures: [{ type: 'certificate-expired', count: 1, mx: 'mx.example.org' }],
      },
    ],
  }),
  sampleAbuse({ org: `x${hostile}` }),
]

test('domains stand with their figures, and of one domain its sources and failures with what to do', async () => {
  assert.deepEqual(await textOf(kept), [
    'DMARC of     messages  failed  DKIM  SPF  to spam  rejected  policy             reports',
    'example.org        13       3    10   10        0         0  none                     1',
    'example.net         0       0     0    0        0         0  -       0 (and 1 doubtful)',
    '',
    'TLS of       sessions  failed  policy  reports',
    'example.org        10       1  sts           1',
    '',
    'came                  complaint  domain       sent from  told by',
    '2026-11-21 06:00:00Z  abuse      example.org  192.0.2.9  x\\u{1b}[2J\\u{d}\\u{202e}',
  ])
  const whole = (await textOf(kept, 'example.org')).join('\n')
  assert.match(whole, /198\.51\.100\.7 +3 +3 {2}Neither signed[^]*192\.0\.2\.1 +10 +0 {2}In order\./)
  assert.match(whole, /certificate-expired {2}mx\.example\.org +1 {2}The certificate was out of date/)
  assert.doesNotMatch(whole, /example\.net/)
})

test('without reports it says so, and nothing of a report drives the terminal', async () => {
  assert.deepEqual(await textOf([]), ['No reports.'])
  const failure = { type: hostile, count: 1, mx: hostile }
  const policy = { type: hostile, domain: hostile, successful: 0, failed: 1, failures: [failure] }
  const row = sampleRow({ ip: hostile, dkim: false, spf: false })
  const bad = [
    sampleDmarc({ domain: hostile, org: hostile, policy: { p: hostile }, rows: [row] }),
    sampleTls({ org: hostile, policies: [policy] }),
    sampleAbuse({ type: hostile, domain: hostile, sourceIp: hostile, org: hostile }),
  ]
  assert.doesNotMatch((await textOf(bad, hostile)).join('\n'), /[\u0000-\u0009\u000b-\u001f\u202e]/)
})
