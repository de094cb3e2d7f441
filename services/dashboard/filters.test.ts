import assert from 'node:assert/strict'
import { test } from 'node:test'

import { makeToken } from '../../shared/config/api-tokens.ts'
import { bucketEndsMs } from '../../shared/filter-tally/tally.ts'
import type { FiltersView } from '../../shared/filter-tally/view.ts'
import { sampleAt } from './sample-source.ts'
import { openTestApp } from './testing.ts'

const hostile = `<img src=x onerror="hacked()">`
const hourMs = 3_600_000

const view: FiltersView = {
  at: sampleAt,
  sinceAt: sampleAt - 23 * hourMs,
  engines: [
    {
      name: 'clamd',
      what: 'virus scanner at 127.0.0.1:3310',
      health: 'failing',
      last: { okAt: sampleAt - 60_000, tookMs: 4, failedAt: sampleAt - 5_000, status: 'timeout', reason: hostile },
      answers: 1_204,
      failures: { timeout: 3, failed: 1 },
      buckets: [...bucketEndsMs, 0].map((_, place) => (place === 2 ? 1_200 : place === 12 ? 4 : 0)),
      percentiles: { p50: 3.75, p95: 4.9, p99: 5 },
    },
    { name: 'gtube', what: 'a test', health: 'silent', last: {}, answers: 0, failures: {}, buckets: [] },
    { name: hostile, health: 'good', last: { okAt: sampleAt }, answers: 1, failures: {}, buckets: [1] },
  ],
  mix: [
    { at: sampleAt - hourMs, verdicts: {} },
    { at: sampleAt, verdicts: { clean: 40, junk: 7, quarantine: 2, reject: 1 } },
  ],
  findings: [{ method: 'spf', results: { fail: 3, pass: 50 } }],
}

test('each filter tells whether it answers, how fast, and why not; what became of mail is a chart with its numbers', async (t) => {
  const asked: number[] = []
  const { token, entry } = makeToken('ci', ['read'])
  const { app } = await openTestApp(t, {
    filters: async (days) => {
      asked.push(days)
      return view
    },
    apiTokens: { ci: entry },
  })
  const headers = { host: 'localhost:8080' }
  const { body, statusCode } = await app.inject({ url: '/filters?days=14', headers })
  assert.equal(statusCode, 200)
  assert.match(body, /<h1>1 of 3 filters give no answer<\/h1>/)
  assert.match(body, /aria-label="messages over time: 40 clean, 7 junk, 2 quarantine, 1 reject, at most 50 at a time"/)
  assert.match(body, /As numbers[^]*11-21 12:00[^]*>40<[^]*>7</)
  assert.match(body, /clamd[^]*no answer[^]*1,204[^]*3 too late, 1 failed[^]*3\.8 ms[^]*4\.9 ms[^]*5 ms/)
  assert.match(body, /aria-label="From 2\.5 ms to 10 s, most about 5 ms"/)
  assert.match(body, /not asked[^]*not in the configuration any more/)
  assert.match(body, /SPF<\/strong>[^]*data-tone="good">pass 50[^]*data-tone="bad">fail 3/)
  assert.doesNotMatch(body, /<img/)
  await app.inject({ url: '/filters?days=three', headers })
  assert.deepEqual(asked, [14, 1])

  const told = await app.inject({ url: '/api/v1/filters', headers: { ...headers, authorization: `Bearer ${token}` } })
  assert.deepEqual(told.json(), view)
})
