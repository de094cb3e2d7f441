import assert from 'node:assert/strict'
import { test } from 'node:test'

import { adviceOn } from './dmarc-advice.ts'
import { summarizeDmarc } from './dmarc-summary.ts'
import type { DmarcRow } from './model.ts'
import { daysOf, lastDays } from './period.ts'
import { sampleDmarc, sampleRow, sampleTls } from './testing.ts'
import { summarizeTls } from './tls-summary.ts'

const nowAt = Date.UTC(2026, 10, 21, 12)
const dayMs = 86_400_000

test('figures of all reporters are added up by domain and source, the worst first', () => {
  const bad = sampleRow({ ip: '198.51.100.7', count: 3, dkim: false, spf: false, disposition: 'quarantine' })
  const half = sampleRow({
    ip: '192.0.2.2',
    count: 5,
    spf: false,
    signatures: [{ domain: 'example.org', result: 'pass' }],
  })
  const reports = [
    sampleDmarc({ rows: [sampleRow(), half, bad], policy: { p: 'none' } }),
    sampleDmarc({ org: 'Other', rows: [sampleRow({ count: 7 })], policy: { p: 'reject' }, endAt: nowAt }),
    sampleDmarc({ domain: 'example.net' }),
  ]
  const [first, second] = summarizeDmarc(reports, lastDays(3, nowAt))
  assert.deepEqual([first?.domain, second?.domain], ['example.org', 'example.net'])
  assert.ok(first !== undefined)
  const { reports: count, messages, passed, dkimPassed, spfPassed, quarantined, rejected } = first
  assert.deepEqual([count, messages, passed, dkimPassed, spfPassed, quarantined, rejected], [2, 25, 22, 22, 17, 3, 0])
  assert.deepEqual(first.policy, { p: 'reject' })
  assert.deepEqual(first.reporters, [
    { org: 'Receiver Inc.', messages: 18 },
    { org: 'Other', messages: 7 },
  ])
  assert.deepEqual(
    first.sources.map(({ ip, messages, passed, signers, reporters }) => [
      ip,
      messages,
      passed,
      signers,
      reporters.length,
    ]),
    [
      ['198.51.100.7', 3, 0, [], 1],
      ['192.0.2.1', 17, 17, [], 2],
      ['192.0.2.2', 5, 5, ['example.org (pass)'], 1],
    ],
  )
  assert.deepEqual(first.days, [
    { day: '2026-11-19', passed: 0, failed: 0 },
    { day: '2026-11-20', passed: 22, failed: 3 },
    { day: '2026-11-21', passed: 0, failed: 0 },
  ])
})

test('a report that claims to be of another age is counted on a day that is shown', () => {
  const period = lastDays(2, nowAt)
  const odd = [
    sampleDmarc({ beginAt: 0, endAt: 1 }),
    sampleDmarc({ beginAt: nowAt + 900 * dayMs, endAt: nowAt + 999 * dayMs }),
  ]
  assert.deepEqual(
    summarizeDmarc(odd, period)[0]?.days.map(({ passed }) => passed),
    [10, 10],
  )
  assert.deepEqual(daysOf(lastDays(1, nowAt)), ['2026-11-21'])
  assert.equal(daysOf(lastDays(400, nowAt)).length, 400)
})

test('what comes by mail that failed DMARC is in no number', () => {
  const mail = { domain: 'forger.test', dmarc: 'fail' }
  const period = lastDays(3, nowAt)
  const [dmarc] = summarizeDmarc([sampleDmarc(), sampleDmarc({ mail })], period)
  assert.deepEqual([dmarc?.reports, dmarc?.doubtful, dmarc?.messages], [1, 1, 10])
  const [tls] = summarizeTls([sampleTls(), sampleTls({ mail })], period)
  assert.deepEqual([tls?.reports, tls?.doubtful, tls?.successful], [1, 1, 100])
  const [only] = summarizeDmarc([sampleDmarc({ mail })], period)
  assert.deepEqual([only?.reports, only?.doubtful, only?.messages, only?.sources], [0, 1, 0, []])
})

test('of very many sources those with failures are listed, and the others are counted', () => {
  const rows = Array.from({ length: 300 }, (_, index) => sampleRow({ ip: `10.0.${index >> 8}.${index & 255}` }))
  const worst = sampleRow({ ip: '192.0.2.99', dkim: false, spf: false })
  const [domain] = summarizeDmarc([sampleDmarc({ rows: [...rows, worst] })], lastDays(3, nowAt))
  assert.deepEqual([domain?.sources.length, domain?.moreSources, domain?.sources[0]?.ip], [200, 101, '192.0.2.99'])
})

test('it is said in plain words what a source means and what to do', () => {
  const failed = { dkim: false, spf: false }
  const rows: readonly (readonly [Partial<DmarcRow>, string, RegExp])[] = [
    [{}, 'none', /^In order\.$/],
    [{ spf: false }, 'none', /In order by DKIM/],
    [{ dkim: false }, 'none', /by SPF alone/],
    [failed, 'none', /Neither signed[^]*p=none/],
    [failed, 'quarantine', /treat it as spam/],
    [failed, 'reject', /reject it: nothing to do/],
    [{ ...failed, signatures: [{ domain: 'mailer.test', result: 'pass' }] }, 'none', /Signed by mailer\.test/],
    [{ ...failed, spfChecks: [{ domain: 'mailer.test', result: 'pass' }] }, 'none', /SPF passes for mailer\.test/],
    [
      { ...failed, signatures: [{ domain: 'example.org', selector: 's1', result: 'fail' }] },
      'none',
      /\(selector s1\)[^]*does not verify/,
    ],
    [{ ...failed, reasons: ['mailing_list'] }, 'none', /Forwarded[^]*nothing to do/],
  ]
  for (const [row, p, words] of rows) assert.match(adviceOn([sampleRow(row)], 'example.org', { p }), words)
  assert.match(
    adviceOn([sampleRow({ dkim: false }), sampleRow({ spf: false })], 'example.org', {}),
    /by DKIM or by SPF/,
  )
})

test('failures of TLS are added up by kind and host, with what to do', () => {
  const policy = { type: 'sts', domain: 'example.org', successful: 90, failed: 10 }
  const expired = { type: 'certificate-expired', mx: 'mx1.example.org' }
  const reports = [
    sampleTls({
      policies: [
        {
          ...policy,
          failures: [
            { ...expired, count: 4 },
            { type: 'odd', count: 6 },
          ],
        },
      ],
    }),
    sampleTls({
      org: 'Other',
      policies: [{ ...policy, type: 'tlsa', failures: [{ ...expired, count: 10, detail: 'x' }] }],
    }),
  ]
  const [domain] = summarizeTls(reports, lastDays(3, nowAt))
  assert.deepEqual([domain?.successful, domain?.failed, domain?.policies], [180, 20, ['sts', 'tlsa']])
  assert.deepEqual(
    domain?.failures.map(({ type, mx, sessions, reporters }) => [type, mx, sessions, reporters]),
    [
      ['certificate-expired', 'mx1.example.org', 14, ['Receiver Inc.', 'Other']],
      ['odd', undefined, 6, ['Receiver Inc.']],
    ],
  )
  assert.match(domain?.failures[0]?.advice ?? '', /renew it/)
  assert.match(domain?.failures[1]?.advice ?? '', /word of his own/)
  assert.deepEqual(domain?.days[1], { day: '2026-11-20', passed: 180, failed: 20 })
})
