import assert from 'node:assert/strict'
import { test } from 'node:test'

import { TableError } from '../../shared/config/external-table.ts'
import { parseQuestion } from './explain-question.ts'
import type { ExplainForm } from './explain-question.ts'
import { sampleSource } from './sample-source.ts'
import { openTestApp, TestBrowser } from './testing.ts'

const empty: ExplainForm = { rcpt: 'jane@example.org', from: '', client: '', helo: '', user: '', tag: '', tls: false }

test('a form without more than a recipient asks for a message of this host', () => {
  assert.deepEqual(parseQuestion(empty), {
    recipient: 'jane@example.org',
    transaction: { peer: 'local', tls: false, tags: [], reversePath: null },
  })
  const full = { ...empty, from: 'joe@a.org', client: '192.0.2.1', helo: 'h', user: 'joe', tag: 'One, Two', tls: true }
  assert.deepEqual(parseQuestion(full), {
    recipient: 'jane@example.org',
    transaction: {
      peer: { address: '192.0.2.1' },
      tls: true,
      tags: ['One', 'Two'],
      reversePath: 'joe@a.org',
      helo: 'h',
      user: 'joe',
    },
  })
  for (const wrong of [{ rcpt: 'jane' }, { from: 'x y' }, { tag: 'x'.repeat(33) }, { tag: 'ü' }])
    assert.ok('problem' in parseQuestion({ ...empty, ...wrong }), JSON.stringify(wrong))
})

test('the rules stand with their lines, and the box tells what decides without a script', async (t) => {
  const { app } = await openTestApp(t)
  const browser = new TestBrowser(app)
  const page = (await browser.get('/rules')).body
  assert.match(page, /smtpd\.conf:7[^]*match from any for local action &quot;scan&quot;/)
  assert.match(page, /<form class="ask" action="\/rules" method="get">/)
  assert.match(page, /href="\/messages\?q=rule%3Asmtpd\.conf%3A7\+after%3A7d">14,000</)
  assert.doesNotMatch(page, /rules\/dry-run/, 'for administrators')
  const answer = await browser.get('/rules?rcpt=jane%40example.org&from=%22%3E%3Cb%3E%40x&tls=on')
  assert.equal(answer.statusCode, 400)
  assert.match(answer.body, /value="&quot;&gt;&lt;b&gt;@x"[^]* checked/)
  const { body } = await browser.get('/rules?rcpt=jane%40example.org')
  assert.match(body, /<pre class="explanation" tabindex="0">jane@example\.org &lt;b&gt;\n {2}line 7/)
})

test('each line tells how often it decided, and since when it never did', async (t) => {
  const { app } = await openTestApp(t)
  const { body } = await new TestBrowser(app).get('/rules')
  assert.match(body, /smtpd\.conf:7[^]*>14,000<[^]*>1 min<\/time>/)
  assert.match(body, /smtpd\.conf:9[^]*match from src &quot;&lt;b&gt;&quot;[^]*never since 2026-11-02/)
  assert.match(body, /<h2>Restrictions<\/h2>[^]*pipeline\.conf:3[^]*decides nothing by itself/)
})

test('a table that cannot be asked is told, not an error page', async (t) => {
  const explain = async (): Promise<string> => {
    throw new TableError('table "aliases": it does not answer')
  }
  const { app } = await openTestApp(t, { source: { ...sampleSource({}), explain } })
  const { statusCode, body } = await new TestBrowser(app).get('/rules?rcpt=jane%40example.org')
  assert.equal(statusCode, 200)
  assert.match(body, /This cannot be asked[^]*it does not answer/)
})
