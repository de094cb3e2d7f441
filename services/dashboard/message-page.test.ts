import assert from 'node:assert/strict'
import { test } from 'node:test'

import { sampleAt, sampleId, sampleMessage, sampleSource } from './sample-source.ts'
import { openTestApp, TestBrowser } from './testing.ts'

test('a message is shown with the rule that decided, the tests of the filter, edits by stage, and its next attempt', async (t) => {
  const message = sampleMessage({
    recipients: [
      { mailbox: 'joe@example.net', state: 'delayed', detail: '451 wait', nextAt: sampleAt + 300_000, attempts: 2 },
    ],
    story: [
      {
        at: sampleAt,
        event: 'routed',
        text: 'rule /etc/smtpd.conf:44 sends x',
        tone: 'plain',
        rule: '/etc/smtpd.conf:44',
      },
    ],
    talk: ['C: MAIL FROM:<b>', 'S: 250 ok'],
    verdicts: [
      {
        at: sampleAt,
        verdict: 'tag',
        score: 7.5,
        tests: [{ name: 'URIBL<b>', score: 7.5, text: 'links to <i>' }],
        authentication: [{ method: 'spf', result: 'fail', detail: 'smtp.mailfrom=<u>' }],
      },
    ],
    stages: [
      {
        stage: 'filter',
        changes: [
          { kind: 'removed', text: 'X-Spam' },
          { kind: 'changed', text: 'Subject: <s>' },
        ],
      },
    ],
  })
  const { app } = await openTestApp(t, { source: sampleSource({ message }) })
  const { body } = await new TestBrowser(app).get(`/messages/${sampleId}`)
  assert.match(body, /rule <a href="\/rules#smtpd\.conf%3A44">\/etc\/smtpd\.conf:44<\/a> sends x/)
  assert.match(
    body,
    /URIBL&lt;b&gt;[^]*7\.5[^]*links to &lt;i&gt;[^]*SPF[^]*data-tone="bad">fail[^]*smtp\.mailfrom=&lt;u&gt;/,
  )
  assert.match(body, /<summary>What was said[^]*C: MAIL FROM:&lt;b&gt;\nS: 250 ok/)
  assert.match(body, /in 5 min<\/time>, after 2 attempts/)
  assert.match(body, /filter<\/h3>[^]*removed: [^]*X-Spam[^]*changed: [^]*Subject: &lt;s&gt;/)
  assert.match((await new TestBrowser(app).get('/rules')).body, /id="smtpd\.conf:7"/)
})

test('sender, recipients, user and client lead to their other messages; what no search can say is text', async (t) => {
  const message = sampleMessage({
    recipients: [
      { mailbox: 'joe@example.net', state: 'held', at: sampleAt },
      { mailbox: '"odd one"@example.net', state: 'accepted' },
    ],
    origin: [
      { name: 'subject', value: 'An <b>offer</b>' },
      { name: 'client', value: '192.0.2.1 port 4711' },
      { name: 'user', value: 'jane' },
    ],
  })
  const { app } = await openTestApp(t, { source: sampleSource({ message }) })
  const { body } = await new TestBrowser(app).get(`/messages/${sampleId}`)
  for (const query of ['from%3Ajane%40example.org', 'to%3Ajoe%40example.net', 'client%3A192.0.2.1', 'user%3Ajane'])
    assert.ok(body.includes(`href="/messages?q=${query}"`), query)
  assert.match(body, /<p>An &lt;b&gt;offer&lt;\/b&gt;<\/p>/)
  assert.match(body, /<span class="address">&quot;odd one&quot;@example\.net<\/span>/)
})
