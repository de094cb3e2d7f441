import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import type { FastifyInstance } from 'fastify'

import { shaCrypt } from '../../shared/crypt/sha-crypt.ts'
import { sampleId, sampleMessage, sampleOverview, sampleSource } from './sample-source.ts'
import { openTestApp, tableOf, TestBrowser, tokenIn } from './testing.ts'
import type { TestAppOptions } from './testing.ts'

const hash = (password: string): string => shaCrypt(password, '$6$rounds=1000$abcdefgh')
const operators = {
  ada: `admin:${hash('analytical')}`,
  olga: hash('engine'),
  rita: `reader:${hash('looking glass')}`,
  broken: 'plain text',
}
const pages = [
  '/',
  '/queues',
  '/queues/relay',
  `/messages/${sampleId}`,
  '/messages?id=x',
  '/system',
  '/held',
  '/destinations',
  '/reports',
  '/rules',
  '/nowhere',
]
const minuteMs = 60_000

function open(t: TestContext, options: TestAppOptions = {}) {
  return openTestApp(t, { source: sampleSource({ message: sampleMessage() }), operators, ...options })
}

async function signedIn(app: FastifyInstance, name = 'olga', password = 'engine'): Promise<TestBrowser> {
  const browser = new TestBrowser(app)
  const reply = await browser.signIn(name, password)
  assert.equal(reply.statusCode, 303, reply.body)
  return browser
}

test('no page is shown and no question answered before sign-in, whatever its address', async (t) => {
  const { app } = await open(t)
  const stranger = new TestBrowser(app)
  for (const url of pages) {
    const reply = await stranger.get(url)
    assert.equal(reply.statusCode, 303, url)
    assert.match(String(reply.headers.location), /^\/sign-in/, url)
    assert.doesNotMatch(reply.body, /relay|jane|example/, url)
  }
  for (const url of ['/api/v1/queues', '/api/v1/queues/relay', `/api/v1/messages/${sampleId}`, '/api/v1/none', '/live'])
    assert.equal((await stranger.get(url)).statusCode, 401, url)
  const form = (await stranger.get('/sign-in')).body
  assert.doesNotMatch(form, /<nav|\/api\/queues|mx\.example/)
})

test('what machines ask is open: whether it is healthy, not why not, and the metrics', async (t) => {
  const { app } = await open(t, { source: sampleSource({ healthy: false }) })
  const health = await new TestBrowser(app).get('/health')
  assert.deepEqual([health.statusCode, health.json()], [503, { status: 'failing' }])
  assert.equal((await new TestBrowser(app).get('/metrics')).statusCode, 200)
  const ready = await new TestBrowser(app).get('/ready')
  assert.deepEqual([ready.statusCode, ready.json()], [503, { status: 'not ready' }])
  assert.deepEqual((await new TestBrowser(app).get('/alive')).json(), { status: 'alive' })
  const known = (await (await signedIn(app)).get('/health')).json<{ checks: unknown[] }>()
  assert.equal(known.checks.length, 1)
})

test('who signs in sees what he came for', async (t) => {
  const { app } = await open(t)
  const browser = new TestBrowser(app)
  const asked = await browser.get(`/messages/${sampleId}`)
  const form = await browser.get(String(asked.headers.location))
  const to = /name="to" value="([^"]+)"/.exec(form.body)?.[1] ?? ''
  const reply = await browser.post('/sign-in', { token: tokenIn(form.body), to, name: ' Olga ', password: 'engine' })
  assert.deepEqual([reply.statusCode, reply.headers.location], [303, `/messages/${sampleId}`])
  for (const url of pages) assert.notEqual((await browser.get(url)).statusCode, 303, url)
  assert.match((await browser.get('/')).body, /olga <small>operator<\/small><\/span> <button>Sign out/)
  assert.equal((await browser.get('/api/v1/queues')).statusCode, 200)
})

test('nobody is sent to another site after sign-in', async (t) => {
  const { app } = await open(t)
  for (const to of ['https://evil.example/', '//evil.example', '/\\evil.example', 'evil', '/a\nb', '/ü']) {
    const browser = new TestBrowser(app)
    const token = tokenIn((await browser.get(`/sign-in?to=${encodeURIComponent(to)}`)).body)
    const reply = await browser.post('/sign-in', { token, to, name: 'olga', password: 'engine' })
    assert.equal(reply.headers.location, '/', to)
  }
})

test('a wrong name and a wrong password get the same answer and cost the same work', async (t) => {
  const { app, asked } = await open(t)
  const answers = []
  for (const [name, password] of [
    ['olga', 'wrong'],
    ['nobody', 'wrong'],
    ['broken', 'plain text'],
    ['', ''],
  ] as const) {
    const reply = await new TestBrowser(app).signIn(name, password)
    answers.push([reply.statusCode, reply.body.replaceAll(/value="[^"]*"/g, '')])
  }
  for (const answer of answers) assert.deepEqual(answer, answers[0])
  assert.equal(answers[0]?.[0], 401)
  assert.deepEqual(
    asked.map(({ hash: one }) => one.startsWith('$6$rounds=1000$')),
    [true, true, true, true],
  )
})

test('the session cookie is out of reach of scripts and other sites, and its value is not kept', async (t) => {
  const { app } = await open(t)
  const browser = new TestBrowser(app)
  const reply = await browser.signIn('olga', 'engine')
  const cookie = String([reply.headers['set-cookie']].flat()[0])
  assert.match(cookie, /^sluice-session=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict$/)
  assert.equal(browser.cookies.has('sluice-visit'), false)
})

test('over HTTPS, as a trusted proxy tells it, cookies are sent over HTTPS only', async (t) => {
  const { app } = await open(t, { trustedProxies: ['127.0.0.0/8'] })
  const browser = new TestBrowser(app, { 'x-forwarded-proto': 'https', host: 'mail.example.org' })
  const reply = await browser.signIn('olga', 'engine')
  const cookie = String([reply.headers['set-cookie']].flat()[0])
  assert.match(cookie, /^__Host-sluice-session=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Secure$/)
  assert.equal((await browser.get('/')).statusCode, 200)
  const other = await open(t)
  const untrusted = new TestBrowser(other.app, { 'x-forwarded-proto': 'https' })
  assert.doesNotMatch(String((await untrusted.signIn('olga', 'engine')).headers['set-cookie']), /Secure/)
})

test('a form without its token, or with the token of another browser, does nothing', async (t) => {
  const { app } = await open(t)
  const other = tokenIn((await new TestBrowser(app).get('/sign-in')).body)
  const browser = new TestBrowser(app)
  await browser.get('/sign-in')
  for (const token of ['', 'x', other]) {
    const reply = await browser.post('/sign-in', { token, name: 'olga', password: 'engine' })
    assert.equal(reply.statusCode, 403)
    assert.equal(browser.cookies.has('sluice-session'), false)
  }
  const olga = await signedIn(app)
  const ritas = tokenIn((await (await signedIn(app, 'rita', 'looking glass')).get('/')).body)
  for (const token of ['', other, ritas]) {
    assert.equal((await olga.post('/sign-out', { token })).statusCode, 403)
    assert.equal((await olga.get('/')).statusCode, 200)
  }
})

test('a form that the browser says comes from another site does nothing, whatever it knows', async (t) => {
  const { app } = await open(t)
  const browser = new TestBrowser(app, { 'sec-fetch-site': 'cross-site' })
  assert.equal((await browser.signIn('olga', 'engine')).statusCode, 403)
})

test('who signs out is out, also with a copy of his cookie', async (t) => {
  const { app } = await open(t)
  const browser = await signedIn(app)
  const cookie = `sluice-session=${browser.cookies.get('sluice-session')}`
  const reply = await browser.send('/', '/sign-out')
  assert.deepEqual([reply.statusCode, reply.headers.location], [303, '/sign-in'])
  assert.equal(browser.cookies.has('sluice-session'), false)
  assert.equal((await new TestBrowser(app, { cookie }).get('/')).statusCode, 303)
})

test('a session ends when nobody uses it for an hour, and after twelve hours in any case', async (t) => {
  const { app, time } = await open(t)
  const idle = await signedIn(app)
  time.now += 59 * minuteMs
  assert.equal((await idle.get('/')).statusCode, 200)
  time.now += 59 * minuteMs
  assert.equal((await idle.get('/', { 'x-refresh': '1' })).statusCode, 200)
  time.now += minuteMs
  assert.equal((await idle.get('/')).statusCode, 303, 'a page that refreshes itself does not keep a session')
  const busy = await signedIn(app)
  const end = time.now + 12 * 60 * minuteMs
  while (time.now + 30 * minuteMs < end) {
    time.now += 30 * minuteMs
    assert.equal((await busy.get('/')).statusCode, 200)
  }
  time.now = end
  assert.equal((await busy.get('/')).statusCode, 303)
})

test('who is taken out of the table, or has another password or role there, is signed out', async (t) => {
  for (const changed of [{ olga: hash('another') }, { olga: `reader:${hash('engine')}` }, { ada: operators.ada }]) {
    const { app, settings } = await open(t)
    const browser = await signedIn(app)
    settings.current = { ...settings.current, operators: tableOf(changed) }
    assert.equal((await browser.get('/')).statusCode, 303)
    settings.current = { ...settings.current, operators: tableOf(operators) }
    assert.equal((await browser.get('/')).statusCode, 303, 'the session does not come back')
  }
})

test('an address that guesses is not even looked at after ten attempts; others and later ones are', async (t) => {
  const { app, asked, time } = await open(t, { trustedProxies: ['127.0.0.1'] })
  const from = (address: string) => new TestBrowser(app, { 'x-forwarded-for': address })
  const guess = async (name: string, address: string) => (await from(address).signIn(name, 'wrong')).statusCode
  for (let attempt = 0; attempt < 10; attempt += 1) assert.equal(await guess(`name${attempt}`, '2001:db8::1'), 401)
  const limited = await from('2001:db8::2').signIn('olga', 'engine')
  assert.equal(limited.statusCode, 429)
  assert.equal(limited.headers['retry-after'], '600')
  assert.equal(asked.length, 10)
  assert.equal((await from('2001:db8:1::1').signIn('olga', 'engine')).statusCode, 303)
  time.now += 10 * minuteMs
  assert.equal((await from('2001:db8::1').signIn('olga', 'engine')).statusCode, 303)
})

test('who signed in from somewhere before is not kept out by those who guess at his name from elsewhere', async (t) => {
  const { app, time } = await open(t, { trustedProxies: ['127.0.0.1'] })
  const from = (address: string) => new TestBrowser(app, { 'x-forwarded-for': address })
  assert.equal((await from('2001:db8::1').signIn('olga', 'engine')).statusCode, 303)
  time.now += 20 * minuteMs
  for (let attempt = 0; attempt < 30; attempt += 1) await from(`192.0.2.${attempt}`).signIn('olga', 'wrong')
  assert.equal((await from('198.51.100.7').signIn('olga', 'engine')).statusCode, 429)
  assert.equal((await from('2001:db8::2').signIn('olga', 'engine')).statusCode, 303)
  for (let attempt = 0; attempt < 10; attempt += 1) await from('2001:db8::3').signIn('olga', 'wrong')
  assert.equal((await from('2001:db8::4').signIn('olga', 'engine')).statusCode, 429)
})

test('a name that is guessed at from everywhere is not looked at either', async (t) => {
  const { app } = await open(t, { trustedProxies: ['127.0.0.1'] })
  const codes = []
  for (let address = 1; address <= 31; address += 1) {
    const browser = new TestBrowser(app, { 'x-forwarded-for': `192.0.2.${address}` })
    codes.push((await browser.signIn(address % 2 === 0 ? 'OLGA' : 'olga', 'wrong')).statusCode)
  }
  assert.deepEqual([new Set(codes.slice(0, 30)), codes[30]], [new Set([401]), 429])
})

test('who comes and goes is kept with time and address, and shown to admins only', async (t) => {
  const { app, audit } = await open(t)
  await new TestBrowser(app).signIn('olga', 'wrong')
  await new TestBrowser(app).signIn('my secret password', 'x')
  const olga = await signedIn(app)
  await olga.send('/', '/sign-out')
  const entries = (await audit.last(10)).map(({ by, from, action, outcome }) => [by, from, action, outcome])
  assert.deepEqual(entries, [
    ['olga', '127.0.0.1', 'sign out', 'done'],
    ['olga', '127.0.0.1', 'sign in', 'done'],
    ['unknown', '127.0.0.1', 'sign in', 'refused'],
    ['olga', '127.0.0.1', 'sign in', 'refused'],
  ])
  const ada = (await (await signedIn(app, 'ada', 'analytical')).get('/system')).body
  assert.match(ada, /sign out/)
  assert.doesNotMatch(ada, /secret/)
  for (const [name, password] of [
    ['olga', 'engine'],
    ['rita', 'looking glass'],
  ] as const)
    assert.match(
      (await (await signedIn(app, name, password)).get('/system')).body,
      /shown to those who signed in as ad/,
    )
})

test('nobody signs in when the table cannot be read, and who is in stays', async (t) => {
  const { app, settings } = await open(t)
  const source = { kind: 'file', path: '/nonexistent/operators' } as const
  settings.current = { ...settings.current, operators: { ...tableOf({}), source } }
  assert.equal((await new TestBrowser(app).signIn('olga', 'engine')).statusCode, 503)
})

test('a dashboard without operators shows all, and has no sign-in', async (t) => {
  const { app } = await openTestApp(t)
  const browser = new TestBrowser(app)
  assert.equal((await browser.get('/')).statusCode, 200)
  assert.equal((await browser.get('/sign-in')).headers.location, '/')
  assert.doesNotMatch((await browser.get('/')).body, /Sign out/)
  assert.match((await browser.get('/system')).body, /nobody signs in/)
})

test('what a living service wants known stands on the page System, and is no trouble', async (t) => {
  const at = sampleOverview().at
  const service = {
    name: 'inbound',
    host: 'h',
    pid: 7,
    startedAt: at,
    beatAt: at,
    silent: false,
    listens: [],
    troubles: [],
  }
  const services = [
    { ...service, notes: ['clients seem to come from <172.18.0.1>'] },
    { ...service, silent: true, notes: ['long gone'] },
  ]
  const { app } = await openTestApp(t, { source: sampleSource({ overview: sampleOverview({ services }) }) })
  const browser = new TestBrowser(app)
  const page = (await browser.get('/system')).body
  assert.match(page, /Worth a look:<[/]strong> clients seem to come from &lt;172[.]18[.]0[.]1&gt;/)
  assert.doesNotMatch(page, /long gone/)
})

test('every response forbids what is not ours and is never kept, the sign-in page too', async (t) => {
  const { app } = await open(t)
  for (const url of ['/sign-in', '/', '/api/v1/queues']) {
    const { headers, body } = await new TestBrowser(app).get(url)
    assert.match(String(headers['content-security-policy']), /^default-src 'none';.*frame-ancestors 'none'/, url)
    assert.equal(headers['cache-control'], 'no-store', url)
    assert.doesNotMatch(body, /\sstyle="|<style|<script>|\son[a-z]+="/, url)
  }
})
