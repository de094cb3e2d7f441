import assert from 'node:assert/strict'
import { test } from 'node:test'

import { makeToken } from '../../shared/config/api-tokens.ts'
import { shaCrypt } from '../../shared/crypt/sha-crypt.ts'
import type { WebhookView } from '../../shared/webhooks/webhook-desk.ts'
import { openTestApp, sampleWebhooks, TestBrowser, tokenIn } from './testing.ts'

const hash = (password: string): string => shaCrypt(password, '$6$rounds=1000$abcdefgh')
const operators = { olga: hash('engine'), rita: `reader:${hash('glass')}` }
const failure = { attempts: 3, reason: 'hooks.test answered <b>503</b>', since: 1_000, nextAt: 61_000 }
const views: readonly WebhookView[] = [
  {
    name: 'n8n-1',
    host: 'http://n8n:5678',
    events: ['held'],
    state: 'works',
    sent: 7,
    dropped: 0,
    sentAt: 0,
    waiting: 0,
  },
  {
    name: 'silent',
    host: 'https://hooks.test',
    events: ['failed'],
    state: 'fails',
    sent: 1,
    dropped: 2,
    waiting: 10_000,
    failure,
  },
]

test('the page System tells how webhooks do, and an operator tries one', async (t) => {
  const done: string[] = []
  const { app, audit } = await openTestApp(t, { operators, webhooks: sampleWebhooks(views, done) })
  const [olga, rita] = [new TestBrowser(app), new TestBrowser(app)]
  await olga.signIn('olga', 'engine')
  await rita.signIn('rita', 'glass')
  const { body } = await olga.get('/system')
  for (const text of ['http://n8n:5678', '10000+', '3 attempts since', '&lt;b&gt;503&lt;/b&gt;', 'webhook n8n-1'])
    assert.ok(body.includes(text), text)
  assert.doesNotMatch((await rita.get('/system')).body, /webhooks\/n8n-1\/test/)
  const token = tokenIn(body)
  const taken = await olga.post('/webhooks/n8n-1/test', { token })
  assert.deepEqual([taken.statusCode, taken.headers.location], [303, '/system?done=test'])
  assert.match((await olga.get('/system?done=test')).body, /The webhook took the event/)
  const refused = await olga.post('/webhooks/silent/test', { token })
  assert.equal(refused.statusCode, 409)
  assert.match(refused.body, /it was not taken: silent gave no answer/)
  assert.equal((await rita.post('/webhooks/n8n-1/test', { token })).statusCode, 403)
  assert.deepEqual(done, ['test n8n-1'])
  const told = (await audit.last(9)).filter(({ action }) => action === 'test webhook')
  assert.deepEqual(
    told.map(({ by, about, outcome }) => [by, about, outcome]),
    [
      ['olga', 'silent', 'refused'],
      ['olga', 'n8n-1', 'done'],
    ],
  )
})

test('a program reads how webhooks do, and tries one', async (t) => {
  const { token, entry } = makeToken('ci', ['read', 'queues'])
  const { app } = await openTestApp(t, { operators, apiTokens: { ci: entry }, webhooks: sampleWebhooks(views) })
  const ask = (method: 'GET' | 'POST', url: string) =>
    app.inject({ method, url, headers: { host: 'localhost', authorization: `Bearer ${token}` } })
  const told = (await ask('GET', '/api/v1/webhooks')).json<{ webhooks: readonly WebhookView[] }>()
  assert.deepEqual(told.webhooks, views)
  assert.deepEqual((await ask('POST', '/api/v1/webhooks/n8n-1/test')).json(), { done: 'taken in 12 ms' })
  const refused = await ask('POST', '/api/v1/webhooks/silent/test')
  assert.equal(refused.statusCode, 409)
  assert.deepEqual(refused.json(), { error: 'it was not taken: silent gave no answer' })
})

test('a system without webhooks says so', async (t) => {
  const { app } = await openTestApp(t, {})
  assert.match((await new TestBrowser(app).get('/system')).body, /there is no <code>webhook<\/code> in pipeline\.conf/)
})
