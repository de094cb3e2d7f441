import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { makeToken } from '../../shared/config/api-tokens.ts'
import type { ReceivedReport } from '../../shared/received-reports/model.ts'
import { sampleAbuse, sampleDmarc, sampleRow, sampleTls } from '../../shared/received-reports/testing.ts'
import { parseQuery } from '../../shared/store/query.ts'
import { sampleAt, sampleSource } from './sample-source.ts'
import { openTestApp } from './testing.ts'

const hostile = `<script>alert(1)</script>"'><img src=x onerror=alert(1)>&amp;\u202e\u0000`

const failing = sampleRow({
  ip: '198.51.100.7',
  count: 40,
  dkim: false,
  spf: false,
  disposition: 'reject',
  signatures: [{ domain: 'mailer.test', selector: 's', result: 'pass' }],
})

const reports: readonly ReceivedReport[] = [
  sampleDmarc({ rows: [sampleRow({ count: 60 }), failing] }),
  sampleDmarc({ domain: 'example.net', reportId: '2' }),
  sampleDmarc({
    reportId: 'forged',
    mail: { domain: 'forger.test', dmarc: 'fail' },
    rows: [sampleRow({ count: 9_999 })],
  }),
  sampleTls({
    policies: [
      {
        type: 'sts',
        domain: 'example.org',
        successful: 95,
        failed: 5,
        failures: [{ type: 'certificate-expired', count: 5, mx: 'mx.example.org', detail: 'notAfter' }],
      },
    ],
  }),
  sampleAbuse({ authFailure: 'dkim', type: 'auth-failure' }),
]

async function page(t: TestContext, url: string, kept = reports) {
  const { app } = await openTestApp(t, { source: sampleSource({ reports: kept }) })
  return app.inject({ method: 'GET', url, headers: { host: 'localhost:8080' } })
}

test('the page shows per domain how mail in its name fared, and leads to its sources', async (t) => {
  const { statusCode, body } = await page(t, '/reports')
  assert.equal(statusCode, 200)
  assert.match(body, /href="\/reports\?days=30&amp;domain=example\.org"[^]*?60\.0 %/)
  assert.match(body, /1 doubtful/)
  assert.doesNotMatch(body, /10059/)
  assert.match(body, /auth-failure<\/strong> \(dkim\)/)
  assert.match(body, /forger\.test<\/span> <span class="badge" data-tone="bad">DMARC fail/)
  const { body: detail } = await page(t, '/reports?days=90&domain=example.org')
  assert.match(detail, /<svg [^>]*aria-label="messages by day: 60 passed, 40 failed, at most 100 messages a day"/)
  assert.match(detail, /198\.51\.100\.7[^]*Signed by mailer\.test, not by example\.org[^]*192\.0\.2\.1[^]*In order\./)
  assert.match(detail, /certificate-expired[^]*mx\.example\.org[^]*renew it/)
  assert.match(detail, /href="\/reports\?days=90">all domains/)
  assert.doesNotMatch(detail, /example\.net/)
})

test('bounces and top senders stand below, of all mail here; without a store the page says why not', async (t) => {
  const value = {
    failures: [
      { class: 'unknown-user', domain: 'far.test', copies: 7 },
      { domain: hostile, copies: 1 },
    ],
    hosts: [
      { host: 'mx.far.test', class: 'unknown-user', copies: 6 },
      { host: hostile, copies: 2 },
    ],
    senders: [
      { sender: `jane${hostile}@example.org`, messages: 12, sizeBytes: 4_300 },
      { sender: 'joe@example.org', messages: 3, sizeBytes: 1_000 },
    ],
    users: [
      { user: 'bob', messages: 900, copies: 14_000, failed: 8_123, held: 40 },
      { user: hostile, messages: 1, copies: 1, failed: 0, held: 0 },
    ],
  }
  const { token, entry } = makeToken('ci', ['read'])
  const recipients = { kind: 'seen', value: [{ domain: `far${hostile}`, copies: 1_250, failed: 7 }] } as const
  const source = sampleSource({ traffic: { kind: 'seen', value }, recipients })
  const { app } = await openTestApp(t, { source, apiTokens: { ci: entry } })
  const { body } = await app.inject({ url: '/reports', headers: { host: 'localhost:8080' } })
  assert.match(body, /jane[^]*12[^]*4\.2 KiB[^]*far\.test[^]*unknown-user[^]*7[^]*not said/)
  assert.match(body, /Who signed in and sent[^]*bob[^]*900[^]*14,000[^]*8,123[^]*40/)
  const links = [...body.matchAll(/href="\/messages\?q=([^"]*)"/g)].map(([, query = '']) =>
    decodeURIComponent(query.replaceAll('+', ' ')),
  )
  const since = `after:${new Date(sampleAt).toISOString().slice(0, 10)}`
  for (const query of [
    `user:bob ${since}`,
    `from:joe@example.org ${since}`,
    `domain:far.test status:failed class:unknown-user ${since}`,
    `text:"mx.far.test" status:failed class:unknown-user ${since}`,
  ])
    assert.ok(links.includes(query), query)
  for (const query of links) parseQuery(query, sampleAt)
  assert.match(body, /Bounces by host[^]*mx\.far\.test[^]*unknown-user[^]*6[^]*Top domains of recipients[^]*1,250[^]*7/)
  assert.doesNotMatch(body, /<script>|<img|[\u0000\u202e]/)
  const headers = { host: 'localhost', authorization: `Bearer ${token}` }
  const told = await app.inject({ url: '/api/v1/reports/traffic?days=7', headers })
  assert.deepEqual(told.json(), { sinceAt: sampleAt, ...value })
  const domains = await app.inject({ url: '/api/v1/reports/recipients?days=7', headers })
  assert.deepEqual(domains.json(), { sinceAt: sampleAt, domains: recipients.value })
  const away = sampleSource({ traffic: { kind: 'away', reason: 'there is no message store yet' } })
  const { app: other } = await openTestApp(t, { source: away, apiTokens: { ci: entry } })
  assert.match(
    (await other.inject({ url: '/reports', headers: { host: 'localhost:8080' } })).body,
    /there is no message store yet/,
  )
  assert.equal((await other.inject({ url: '/api/v1/reports/traffic', headers })).statusCode, 503)
})

test('without reports the page says how to get them; a domain nobody reports on has none', async (t) => {
  const empty = (await page(t, '/reports', [])).body
  assert.match(empty, /No report in the last 30 days[^]*queue:\/\/reports/)
  assert.match((await page(t, '/reports?domain=nowhere.test')).body, /No report on nowhere\.test in the last 30 days/)
})

test('what is asked in odd ways is answered with the usual', async (t) => {
  for (const url of ['/reports?days=0', '/reports?days=x&days=7', '/reports?days=1e9', '/reports?domain='])
    assert.match((await page(t, url)).body, /days=30" aria-current="page"/, url)
})

test('hostile text of a report stays text', async (t) => {
  const row = sampleRow({
    ip: hostile,
    headerFrom: hostile,
    dkim: false,
    spf: false,
    signatures: [{ domain: hostile, selector: hostile, result: hostile }],
    spfChecks: [{ domain: hostile, result: hostile }],
    reasons: [hostile],
  })
  const failure = { type: hostile, count: 1, mx: hostile, detail: hostile }
  const mail = { domain: hostile, dmarc: hostile }
  const kept = [
    sampleDmarc({
      org: hostile,
      contact: hostile,
      reportId: hostile,
      domain: hostile,
      mail,
      policy: { p: hostile, pct: hostile },
      rows: [row],
    }),
    sampleTls({
      org: hostile,
      mail,
      policies: [{ type: hostile, domain: hostile, successful: 0, failed: 1, failures: [failure] }],
    }),
    sampleAbuse({
      org: hostile,
      mail,
      type: hostile,
      domain: hostile,
      sourceIp: hostile,
      authFailure: hostile,
      deliveryResult: hostile,
    }),
  ]
  for (const url of [
    '/reports',
    `/reports?domain=${encodeURIComponent(hostile.toLowerCase())}`,
    `/reports?days=${encodeURIComponent(hostile)}`,
  ]) {
    const { statusCode, body } = await page(t, url, kept)
    assert.equal(statusCode, 200)
    assert.doesNotMatch(body, /<script>|<img|onerror=alert\(1\)>|[\u0000\u202e]/, url)
    assert.doesNotMatch(body, /href="(?![/#])/, url)
  }
})

test('a program reads the same figures', async (t) => {
  const { token, entry } = makeToken('ci', ['read'])
  const source = sampleSource({ reports })
  const { app } = await openTestApp(t, { source, apiTokens: { ci: entry } })
  const question = { days: 7, domain: 'example.org' }
  const views = {
    dmarc: await source.reports.dmarc(question),
    tls: await source.reports.tls(question),
    abuse: await source.reports.abuse(question),
  }
  for (const [kind, view] of Object.entries(views)) {
    const url = `/api/v1/reports/${kind}?days=7&domain=example.org`
    const reply = await app.inject({ url, headers: { host: 'localhost', authorization: `Bearer ${token}` } })
    assert.equal(reply.statusCode, 200)
    assert.deepEqual(reply.json(), JSON.parse(JSON.stringify(view)), kind)
  }
  assert.deepEqual(
    views.dmarc.domains.map(({ domain, messages, passed, doubtful }) => [domain, messages, passed, doubtful]),
    [['example.org', 100, 60, 1]],
  )
})
