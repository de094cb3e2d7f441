import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import type { FastifyInstance } from 'fastify'

import { shaCrypt } from '../../shared/crypt/sha-crypt.ts'
import type { ManyDone } from '../../shared/operate/many.ts'
import { OperationError } from '../../shared/operate/operation-error.ts'
import type { Operations } from '../../shared/operate/operations.ts'
import { signalOf } from '../../shared/queue/testing.ts'
import { QueueUnavailableError } from '../../shared/queue/unavailable.ts'
import { manyActions, saidNow } from './actions.ts'
import { sampleId, sampleJob, sampleMessage, sampleOverview, sampleQueue, sampleSource } from './sample-source.ts'
import { failingOperations, openTestApp, TestBrowser, tokenIn } from './testing.ts'
import type { TestAppOptions } from './testing.ts'

const hash = (password: string): string => shaCrypt(password, '$6$rounds=1000$abcdefgh')
const operators = { olga: hash('engine'), rita: `reader:${hash('glass')}`, ada: `admin:${hash('notes')}` }
const queues = [sampleQueue('filter', { paused: true }), sampleQueue('relay', { delayed: 7 })]
const overview = sampleOverview({ queues: { kind: 'seen', value: queues } })
const actions = [
  '/queues/relay/pause',
  '/queues/relay/resume',
  '/queues/relay/schedule',
  '/queues/relay/limit',
  ...['schedule', 'hold', 'release', 'release-ham', 'block', 'remove', 'expire'].map(
    (what) => `/messages/${sampleId}/${what}`,
  ),
]

function open(t: TestContext, options: TestAppOptions = {}) {
  return openTestApp(t, { source: sampleSource({ overview, message: sampleMessage() }), operators, ...options })
}

async function signedIn(app: FastifyInstance, name = 'olga', password = 'engine'): Promise<TestBrowser> {
  const browser = new TestBrowser(app)
  assert.equal((await browser.signIn(name, password)).statusCode, 303)
  return browser
}

const tokenOf = async (browser: TestBrowser): Promise<string> => tokenIn((await browser.get('/')).body)

test('an operator pauses and resumes a queue, and holds, releases, hurries and removes a message', async (t) => {
  const { app, done, audit } = await open(t)
  const olga = await signedIn(app)
  const token = await tokenOf(olga)
  for (const path of actions) {
    const reply = await olga.post(path, { token })
    assert.equal(reply.statusCode, 303, path)
    const [, page, what] = /^(.*)\/([\w-]+)$/.exec(path) ?? []
    assert.equal(reply.headers.location, `${page}?done=${what}`)
    assert.match((await olga.get(reply.headers.location)).body, /<strong>Done\.<\/strong>/)
  }
  assert.deepEqual(done, [
    'pause relay',
    'resume relay',
    'schedule relay',
    'limit relay undefined undefined olga (dashboard)',
    `schedule ${sampleId} olga (dashboard)`,
    `hold ${sampleId} olga (dashboard)`,
    `release ${sampleId} olga (dashboard)`,
    `release-ham ${sampleId} olga (dashboard)`,
    `block ${sampleId} olga (dashboard)`,
    `remove ${sampleId} olga (dashboard)`,
    `expire ${sampleId} olga (dashboard)`,
  ])
  const [last] = await audit.last(1)
  assert.deepEqual(
    [last?.by, last?.from, last?.action, last?.about, last?.outcome],
    ['olga', '127.0.0.1', 'return message to its sender', sampleId, 'done'],
  )
})

test('an operator limits a queue by its page, which says so, and who did it', async (t) => {
  const limited = { rate: { count: 50, periodMs: 1_000 }, concurrency: 4, by: 'rex <b>', at: 0 }
  const seen = { kind: 'seen', value: [sampleQueue('relay', { limit: limited })] } as const
  const source = sampleSource({ overview: sampleOverview({ queues: seen }), message: sampleMessage() })
  const { app, done, audit } = await open(t, { source })
  const olga = await signedIn(app)
  const token = await tokenOf(olga)
  for (const path of ['/', '/queues', '/queues/relay'])
    assert.match((await olga.get(path)).body, /50\/s, 4 at a time/, path)
  const page = (await olga.get('/queues/relay')).body
  assert.match(page, /by rex &lt;b&gt;/)
  assert.match(page, /value="50\/s"[^]*value="4"[^]*Lift the limit/)
  await olga.post('/queues/relay/limit', { token, rate: ' 10/s ', concurrency: '' })
  await olga.post('/queues/relay/limit', { token, rate: 'off' })
  assert.deepEqual(done, ['limit relay 10/s undefined olga (dashboard)', 'limit relay off undefined olga (dashboard)'])
  const [last] = await audit.last(1)
  assert.deepEqual([last?.action, last?.about, last?.detail], ['limit queue', 'relay', 'limit: as asked'])
})

test('no action is done without the token of the form, for anybody', async (t) => {
  const { app, done } = await open(t)
  const [stranger, olga, ada] = [new TestBrowser(app), await signedIn(app), await signedIn(app, 'ada', 'notes')]
  for (const path of actions) {
    const asked = await stranger.post(path, { token: await tokenOf(ada) })
    assert.deepEqual([asked.statusCode, asked.headers.location], [303, '/sign-in'], path)
    for (const fields of [{}, { token: '' }, { token: 'x'.repeat(43) }, { token: await tokenOf(ada) }] as const)
      assert.equal((await olga.post(path, fields)).statusCode, 403, path)
  }
  assert.deepEqual(done, [])
})

test('a reader and a read-only dashboard offer no action and do none; what was tried is kept', async (t) => {
  for (const [options, name, password] of [
    [{}, 'rita', 'glass'],
    [{ readOnly: true }, 'ada', 'notes'],
  ] as const) {
    const { app, done, audit } = await open(t, options)
    const browser = await signedIn(app, name, password)
    for (const page of ['/', '/queues', '/queues/relay', `/messages/${sampleId}`]) {
      const { body } = await browser.get(page)
      const forms = [...body.matchAll(/<form[^>]*action="([^"]*)"/g)].map((match) => match[1])
      assert.deepEqual(forms, ['/sign-out', '/messages'], page)
      const links = [...body.matchAll(/<a class="button"[^>]*>([^<]*)</g)].map((match) => match[1])
      assert.deepEqual(links, name === 'ada' && page.startsWith('/messages') ? ['Preview', 'Source'] : [], page)
    }
    assert.equal((await browser.get(`/messages/${sampleId}/remove`)).statusCode, 303)
    for (const path of actions)
      assert.equal((await browser.post(path, { token: await tokenOf(browser) })).statusCode, 403)
    assert.deepEqual(done, [])
    const refused = (await audit.last(actions.length)).map(({ by, outcome }) => `${by} ${outcome}`)
    assert.deepEqual(new Set(refused), new Set([`${name} refused`]))
  }
})

test('where nobody signs in nobody changes a thing', async (t) => {
  const { app, done } = await openTestApp(t, { source: sampleSource({ overview, message: sampleMessage() }) })
  const browser = new TestBrowser(app)
  assert.doesNotMatch((await browser.get('/queues/relay')).body, /method="post"/)
  for (const path of actions) assert.equal((await browser.post(path, { token: '' })).statusCode, 403, path)
  assert.deepEqual(done, [])
})

test('an operator sends a message elsewhere, gives a copy another address, and does things to one copy alone', async (t) => {
  const { app, done, audit } = await open(t)
  const olga = await signedIn(app)
  const page = `/messages/${sampleId}/change`
  const { body } = await olga.get(page)
  assert.match(body, /<option>backup &lt;b&gt;<\/option>[^]*<option>joe@example\.net<\/option>/)
  const send = (what: string, fields: Readonly<Record<string, string>>) =>
    olga.send(page, `/messages/${sampleId}/${what}`, fields)
  const reply = await send('reroute', { to: ' smtp://mx.test ', action: '', recipient: '' })
  assert.deepEqual([reply.statusCode, reply.headers.location], [303, `/messages/${sampleId}?done=reroute`])
  await send('reroute', { to: '', action: 'out', recipient: 'joe@example.net' })
  await send('reroute', { undo: 'yes' })
  await send('readdress', { from: 'joe@example.net', to: 'jim@example.net' })
  await send('hold', { recipient: 'joe@example.net' })
  await send('replay', { from: 'sign', again: 'yes' })
  const trial = await olga.get(`/messages/${sampleId}/replay?from=filter&recipient=`)
  assert.match(
    trial.body,
    /1 decision would be another[^]*filter<[^]*joe@example\.net<[^]*<strong>pass<\/strong>[^]*hold</,
  )
  assert.equal((await send('readdress', { from: 'joe@example.net', to: '' })).statusCode, 409)
  const by = 'olga (dashboard)'
  assert.deepEqual(done, [
    `reroute ${sampleId} smtp://mx.test ${by}`,
    `reroute ${sampleId} out ${by} for joe@example.net`,
    `reroute ${sampleId} undo ${by}`,
    `readdress ${sampleId} joe@example.net jim@example.net ${by}`,
    `hold ${sampleId} ${by} for joe@example.net`,
    `replay ${sampleId} sign true undefined false ${by}`,
    `try ${sampleId} filter`,
  ])
  const did = await audit.last(7)
  const [refused, first] = [did[0], did.at(-1)]
  assert.deepEqual([refused?.action, refused?.outcome], ['readdress message', 'refused'])
  assert.deepEqual([first?.by, first?.action, first?.outcome], ['olga', 'reroute message', 'done'])
})

test('what is done to many is told with its number first, and done to no other', async (t) => {
  const { app, done, audit } = await open(t)
  const olga = await signedIn(app)
  for (const [page, told] of [
    ['/destinations/smtp%3A%2F%2Fmx.test%3A25', 'destination smtp://mx.test:25'],
    ['/tags/Bulk', 'tag Bulk'],
  ] as const) {
    const { body } = await olga.get(page)
    assert.match(body, /This will reroute 1 message, 37 jobs,/)
    assert.match(body, /Holds it<[^]*30 messages, 35 jobs[^]*Releases it<[^]*>nothing</)
    assert.doesNotMatch(body, /\/release"/)
    const reply = await olga.send(page, `${page}/reroute`, { to: 'smtp://mx.test' })
    assert.deepEqual([reply.statusCode, reply.headers.location], [303, `${page}?done=reroute`])
    assert.equal((await olga.send(page, `${page}/hold`)).statusCode, 303)
    const [kind, name] = told.split(' ')
    assert.deepEqual(done.splice(0), [
      `reroute ${kind} ${name} smtp://mx.test olga (dashboard)`,
      `hold ${kind} ${name} olga (dashboard)`,
    ])
    const [last] = await audit.last(1)
    assert.deepEqual([last?.action, last?.about], ['hold, by destination or tag', told])
  }
  const rita = await signedIn(app, 'rita', 'glass')
  const { body } = await rita.get('/tags/Bulk')
  assert.match(body, /This will reroute 1 message/)
  assert.doesNotMatch(body, /action="\/tags/)
  assert.equal((await rita.post('/tags/Bulk/reroute', { token: tokenIn(body), to: 'smtp://x' })).statusCode, 403)
  assert.equal((await rita.get(`/messages/${sampleId}/change`)).statusCode, 303)
  assert.equal((await rita.get(`/messages/${sampleId}/replay`)).statusCode, 303)
  assert.deepEqual(done, [])
})

test('who does it to very many is answered before it is done, and the audit log has the end', async (t) => {
  const hold = (run: Operations['many']) => {
    const action = manyActions({ ...failingOperations(new Error('not asked for')), many: run }, 1).find(
      ({ path }) => path === 'hold',
    )
    assert.ok(action !== undefined)
    return action.run({ kind: 'tag', tag: 'Bulk' }, 'olga', {})
  }
  const said: string[] = []
  const record = (outcome: string, detail: string): void => void said.push(`${outcome}: ${detail}`)
  const rest = signalOf<ManyDone>()
  const did = await hold((_action, _selection, _by, tell) => {
    tell?.(7, 20_000)
    return rest.promise
  })
  const now = '7 of 20000 jobs had their turn; it goes on by itself, and the audit log tells the end'
  assert.equal(saidNow(did, record), now)
  assert.deepEqual(said, [])
  rest.resolve({ done: 19_999, left: 1 })
  assert.ok(typeof did !== 'string')
  await did.end
  const outage = signalOf()
  const broken = await hold(() => outage.promise.then(() => Promise.reject(new Error('Redis is away'))))
  assert.match(saidNow(broken, record), /^they are still looked for; it goes on/)
  assert.ok(typeof broken !== 'string')
  outage.resolve()
  await assert.rejects(broken.end)
  assert.deepEqual(said, ['done: 19999 jobs held, 1 left: a worker has them', 'refused: it broke off: Redis is away'])
  await assert.rejects(
    hold(() => Promise.reject(new OperationError('no'))),
    OperationError,
  )
  const { app } = await open(t)
  assert.match((await (await signedIn(app)).get('/tags/Bulk?done=goes-on')).body, /<strong>Under way\.<\/strong>/)
})

test('a page offers what can be done as things are', async (t) => {
  const offered = async (jobs: Parameters<typeof sampleJob>[0][], url: string) => {
    const message = sampleMessage({ jobs: { kind: 'seen', value: jobs.map((job) => sampleJob(job)) } })
    const { app } = await open(t, { source: sampleSource({ overview, message }) })
    const { body } = await (await signedIn(app)).get(url)
    const buttons = body.matchAll(/<(?:button id="[^"]*"|a class="button"[^>]*)>([^<]*)</g)
    return [...buttons].map((match) => match[1])
  }
  const url = `/messages/${sampleId}`
  assert.deepEqual(await offered([{ state: 'delayed' }], url), [
    'Preview',
    'Source',
    'Try now',
    'Hold',
    'Change…',
    'Remove…',
  ])
  assert.deepEqual(await offered([{ state: 'waiting' }], url), ['Preview', 'Source', 'Hold', 'Change…', 'Remove…'])
  assert.deepEqual(await offered([{ state: 'held', reason: 'held by ada' }], url), [
    'Preview',
    'Source',
    'Release',
    'Change…',
    'Remove…',
  ])
  assert.deepEqual(await offered([{ state: 'held', quarantine: 'virus' }], url), [
    'Preview',
    'Source',
    'Release…',
    'Block sender',
    'Change…',
    'Remove…',
  ])
  assert.deepEqual(await offered([{ state: 'done' }], url), ['Preview', 'Source', 'Send again…'])
  assert.deepEqual(await offered([], '/queues/relay'), ['Pause', 'Try all delayed now', 'Limit'])
  assert.deepEqual(await offered([], '/queues/filter'), ['Resume', 'Limit'])
})

test('what destroys is asked about first, by a form that works without scripts', async (t) => {
  const job = sampleJob({ state: 'held', quarantine: 'virus', reason: 'virus: <b>Eicar</b>' })
  const message = sampleMessage({ jobs: { kind: 'seen', value: [job] } })
  const { app, done } = await open(t, { source: sampleSource({ overview, message }) })
  const olga = await signedIn(app)
  for (const what of ['remove', 'release']) {
    const path = `/messages/${sampleId}/${what}`
    const { body } = await olga.get(path)
    assert.match(body, /joe@example\.net[^]*virus: &lt;b&gt;Eicar/)
    assert.doesNotMatch(body, /http-equiv="refresh"|live\.js/)
    assert.equal((await olga.send(path, path)).statusCode, 303)
  }
  assert.equal(done.length, 2)
  assert.equal((await olga.get('/messages/0mi8v2c4bm99999999/remove')).statusCode, 404)
})

test('what cannot be done is told with its reason, and kept', async (t) => {
  const broken = new Error('secret path')
  for (const [error, code, told] of [
    [new OperationError('a worker has message <x>'), 409, /a worker has message &lt;x&gt;/],
    [new QueueUnavailableError('Redis could not be asked'), 503, /Redis could not be asked/],
    [broken, 500, /the log says why/],
  ] as const) {
    const { app, audit } = await open(t, { operations: failingOperations(error) })
    const olga = await signedIn(app)
    const reply = await olga.send('/', `/messages/${sampleId}/hold`)
    assert.equal(reply.statusCode, code)
    assert.match(reply.body, told)
    assert.doesNotMatch(reply.body, /secret/)
    const [last] = await audit.last(1)
    assert.deepEqual([last?.action, last?.outcome], ['hold message', 'refused'])
  }
})

test('an id that is none and a queue that cannot be are no way into anything', async (t) => {
  const { app, done } = await open(t)
  const olga = await signedIn(app)
  const token = await tokenOf(olga)
  for (const path of ['/messages/x/remove', '/messages/..%2f..%2fx/hold', `/messages/${sampleId}/fly`])
    assert.equal((await olga.post(path, { token })).statusCode, 404, path)
  const reply = await olga.post('/queues/%0d%0aset-cookie:x/pause', { token })
  assert.deepEqual([reply.statusCode, reply.headers.location], [303, '/queues/%0D%0Aset-cookie%3Ax?done=pause'])
  assert.equal(done.length, 1)
})
