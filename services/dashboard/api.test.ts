import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import type { FastifyInstance } from 'fastify'

import { makeToken } from '../../shared/config/api-tokens.ts'
import type { Scope } from '../../shared/config/api-tokens.ts'
import { shaCrypt } from '../../shared/crypt/sha-crypt.ts'
import { OperationError } from '../../shared/operate/operation-error.ts'
import { destinationsOf, withHistory } from '../../shared/report/destinations.ts'
import { QueueUnavailableError } from '../../shared/queue/unavailable.ts'
import {
  sampleAt,
  sampleId,
  sampleJob,
  sampleMessage,
  sampleOverview,
  sampleQueue,
  sampleBook,
  sampleSource,
} from './sample-source.ts'
import { failingOperations, openTestApp, tableOf, TestBrowser, tokenIn } from './testing.ts'
import type { TestAppOptions } from './testing.ts'

const jobs = [
  sampleJob({ destination: 'example.net' }),
  sampleJob({ state: 'held', quarantine: 'virus', reason: 'virus: Eicar', heldAt: 5, action: 'out', from: null }),
]
const message = sampleMessage({ jobs: { kind: 'seen', value: jobs } })
const queues = [sampleQueue('filter', { waiting: 3, oldestAgeMs: 1.5, heldAtLeast: true }), sampleQueue('relay')]
const overview = sampleOverview({ queues: { kind: 'seen', value: queues } })
const source = sampleSource({ overview, jobs, message, book: sampleBook })
const operators = { ada: `admin:${shaCrypt('notes', '$6$rounds=1000$abcdefgh')}` }

const changes = [
  ...['pause', 'resume', 'schedule', 'limit'].map((what) => `/api/v1/queues/relay/${what}`),
  ...['schedule', 'hold', 'release', 'release-ham', 'block', 'remove', 'expire', 'reroute', 'replay'].map(
    (what) => `/api/v1/messages/${sampleId}/${what}`,
  ),
  ...['schedule', 'hold', 'release', 'expire', 'remove', 'reroute'].flatMap((what) => [
    `/api/v1/destinations/far.test/${what}`,
    `/api/v1/tags/Bulk/${what}`,
  ]),
]
const questions = [
  'queues',
  'queues/relay',
  'held',
  'destinations',
  'reports/dmarc',
  'reports/tls',
  'reports/abuse',
  'reports/traffic',
  'reports/recipients',
  'reports/hours',
  'rules/hits',
  'messages',
  'runs',
  'searches',
  'webhooks',
  `messages/${sampleId}`,
  'health',
  'openapi.json',
].map((what) => `/api/v1/${what}`)

async function open(t: TestContext, scopes: readonly Scope[], options: TestAppOptions = {}) {
  const { token, entry } = makeToken('ci', scopes)
  const opened = await openTestApp(t, { source, operators, apiTokens: { ci: entry }, ...options })
  const ask = async (method: 'GET' | 'POST', url: string, sent = token) =>
    opened.app.inject({ method, url, headers: { host: 'localhost', authorization: `Bearer ${sent}` } })
  return { ...opened, token, ask }
}

/** What JSON makes of a value. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value))
}

test('a program reads what the pages show, whole, and nothing else', async (t) => {
  const { ask } = await open(t, ['read'])
  const told = async (url: string): Promise<unknown> => (await ask('GET', url)).json()
  const shown = jobs.map(({ edits: _edits, ...job }) => job)
  const { at } = overview
  assert.deepEqual(await told('/api/v1/queues'), plain({ at, queues }))
  assert.deepEqual(
    await told('/api/v1/queues/relay?state=delayed&start=-3'),
    plain({ at, ...queues[1], start: 0, jobs: shown }),
  )
  assert.deepEqual(await told('/api/v1/held'), plain({ at, jobs: [shown[1]] }))
  assert.deepEqual(
    await told('/api/v1/destinations'),
    plain({ at, cut: false, destinations: withHistory(destinationsOf(jobs), sampleBook) }),
  )
  assert.deepEqual(await told(`/api/v1/messages/${sampleId}`), plain({ ...message, jobs: shown }))
  assert.deepEqual(await told('/api/v1/health'), plain(await source.health()))
  for (const url of ['/api/v1/queues/none', '/api/v1/messages/none', '/api/v1/messages/0mi8v2c4bm99999999'])
    assert.equal((await ask('GET', url)).statusCode, 404, url)
  for (const url of ['/api/v1/audit', ...changes]) {
    const { statusCode } = await ask(url.endsWith('audit') ? 'GET' : 'POST', url)
    assert.equal(statusCode, 403, url)
  }
})

test('a program acts by its scopes, and the audit log has its name', async (t) => {
  const { ask, done, audit } = await open(t, ['queues', 'messages'])
  for (const url of changes) assert.match((await ask('POST', url)).json<{ done: string }>().done, /./, url)
  assert.equal(done.length, changes.length)
  assert.equal(done.at(-1), 'reroute tag Bulk nowhere token ci (API)')
  assert.ok(done.includes(`expire ${sampleId} token ci (API)`))
  assert.ok(done.includes('hold destination far.test token ci (API)'))
  for (const url of questions.slice(0, -1)) assert.equal((await ask('GET', url)).statusCode, 403, url)
  const [last] = await audit.last(1)
  assert.deepEqual(
    [last?.by, last?.action, last?.about, last?.outcome],
    ['token ci', 'reroute, by destination or tag', 'tag Bulk', 'done'],
  )
})

test('without a token, with a wrong one or one that was taken back nothing is answered', async (t) => {
  const { ask, token, settings, done, app } = await open(t, ['read', 'queues', 'messages', 'audit'])
  const wrong = [
    '',
    'ci',
    'ci.',
    `${token}x`,
    token.replace('ci.', 'cd.'),
    makeToken('ci', ['read']).token,
    'x '.repeat(9),
  ]
  for (const url of questions) {
    for (const sent of wrong) {
      const reply = await ask('GET', url, sent)
      assert.deepEqual([reply.statusCode, reply.headers['www-authenticate']], [401, 'Bearer'], `${url} ${sent}`)
    }
    assert.equal((await app.inject({ url, headers: { host: 'localhost' } })).statusCode, 401)
  }
  settings.current = { ...settings.current, tokens: tableOf({}) }
  for (const url of changes) assert.equal((await ask('POST', url)).statusCode, 401)
  assert.deepEqual(done, [])
})

test('a program may send JSON along, or nothing', async (t) => {
  const { app, token, done } = await open(t, ['queues'])
  for (const payload of ['', '{}', 'not JSON']) {
    const headers = { host: 'localhost', authorization: `Bearer ${token}`, 'content-type': 'application/json' }
    const reply = await app.inject({ method: 'POST', url: '/api/v1/queues/relay/pause', headers, payload })
    assert.equal(reply.statusCode, 200, payload)
  }
  assert.equal(done.length, 3)
})

test('a program says where to in JSON, and what is not understood is refused, not passed over', async (t) => {
  const { app, token, done } = await open(t, ['messages'])
  const post = async (url: string, payload: string): Promise<unknown> => {
    const headers = { host: 'localhost', authorization: `Bearer ${token}`, 'content-type': 'application/json' }
    const reply = await app.inject({ method: 'POST', url: `/api/v1/${url}`, headers, payload })
    return [reply.statusCode, Object.values(reply.json<Record<string, unknown>>())[0]]
  }
  const message = `messages/${sampleId}`
  const to = '{"to":"smtp://mx.test","recipient":"joe@example.net"}'
  assert.deepEqual(await post(`${message}/reroute`, to), [200, '1 job rerouted'])
  assert.deepEqual(await post(`${message}/reroute`, '{"undo":true}'), [200, '1 job rerouted'])
  const dry = '{"action":"backup","dryRun":true}'
  assert.deepEqual(await post('destinations/far.test/reroute', dry), [200, '37 jobs of 1 message; nothing is changed'])
  assert.deepEqual(await post('destinations/far.test/reroute', dry.replace('true', 'false')), [
    200,
    '2 jobs rerouted, 1 at work just now: they follow after that',
  ])
  const address = '{"from":"joe@example.net","to":"jim@example.net"}'
  assert.deepEqual(await post(`${message}/readdress`, address), [
    200,
    'the copy for joe@example.net goes to jim@example.net',
  ])
  const did = done.splice(0)
  assert.equal(did.length, 4)
  assert.equal(did[0], `reroute ${sampleId} smtp://mx.test token ci (API) for joe@example.net`)
  for (const [url, payload, code, error] of [
    [`${message}/reroute`, 'not JSON', 400, /no JSON/],
    [`${message}/reroute`, '[]', 400, /JSON object/],
    [`${message}/reroute`, '{"host":"x"}', 400, /'host' is not known here; there are: to, action, undo, recipient/],
    [`${message}/reroute`, '{"undo":"yes"}', 400, /'undo' is to be a boolean/],
    [`${message}/reroute`, '{"__proto__":"x"}', 400, /is not known here/],
    [`${message}/readdress`, '{"to":"jim@example.net"}', 409, /`from` and `to`/],
    ['tags/Bulk/hold', '{"recipient":"x"}', 400, /there are: dryRun/],
  ] as const) {
    const [status, text] = (await post(url, payload)) as [number, string]
    assert.equal(status, code, payload)
    assert.match(text, error)
  }
  assert.deepEqual(done, [])
})

test('a program teaches by the messages it sends along, and what it may not teach is told', async (t) => {
  const { app, token, done, audit } = await open(t, ['learn'])
  const teach = async (what: string, payload: string, type = 'message/rfc822', sent = token) => {
    const headers = { host: 'localhost', authorization: `Bearer ${sent}`, 'content-type': type }
    const reply = await app.inject({ method: 'POST', url: `/api/v1/learn/${what}`, headers, payload })
    return [reply.statusCode, Object.values(reply.json<Record<string, unknown>>())[0]]
  }
  const mail = 'Subject: hello\r\n\r\nhello\r\n'
  assert.deepEqual(await teach('spam', mail), [200, 'learned as spam'])
  assert.deepEqual(await teach('ham', mail), [200, 'learned as ham'])
  assert.deepEqual(await teach('forget', mail), [200, 'forgotten'])
  assert.deepEqual((await teach('ham', `X: forged\r\n${mail}`))[0], 409)
  assert.deepEqual((await teach('ham', ''))[0], 415)
  assert.deepEqual((await teach('ham', '{}', 'application/json'))[0], 415)
  const [last] = await audit.last(1)
  assert.deepEqual([last?.by, last?.action, last?.outcome], ['token ci', 'learn ham', 'refused'])
  // Of a long message the beginning is looked at, as everywhere.
  assert.deepEqual(await teach('spam', mail.padEnd(3_000_000, 'x')), [200, 'learned as spam'])
  assert.deepEqual(
    done.map((one) => one.replace(/\d+$/, 'N')),
    ['learn spam N', 'learn ham N', 'forget N', 'learn ham N', 'learn spam N'],
  )
  assert.equal(done.at(-1), 'learn spam 1048576')
  const other = await open(t, ['read', 'queues', 'messages', 'audit'])
  const headers = { host: 'localhost', authorization: `Bearer ${other.token}`, 'content-type': 'message/rfc822' }
  const refused = await other.app.inject({ method: 'POST', url: '/api/v1/learn/ham', headers, payload: mail })
  assert.deepEqual([refused.statusCode, other.done], [403, []])
})

test('a token opens no page', async (t) => {
  const { ask } = await open(t, ['read', 'queues', 'messages', 'audit'])
  for (const url of ['/', '/queues', `/messages/${sampleId}`, '/system'])
    assert.equal((await ask('GET', url)).statusCode, 303, url)
  assert.equal((await ask('POST', '/queues/relay/pause')).statusCode, 303)
})

test('a browser that has signed in reads, and changes nothing here: another site could make it ask', async (t) => {
  const { app, done } = await open(t, ['read'])
  const ada = new TestBrowser(app)
  await ada.signIn('ada', 'notes')
  const token = tokenIn((await ada.get('/')).body)
  for (const url of [...questions, '/api/v1/audit']) assert.equal((await ada.get(url)).statusCode, 200, url)
  for (const url of changes) assert.equal((await ada.post(url, { token })).statusCode, 403, url)
  assert.deepEqual(done, [])
})

test('a read-only dashboard lets programs change nothing either', async (t) => {
  const { ask, done } = await open(t, ['read', 'queues', 'messages', 'audit'], { readOnly: true })
  for (const url of changes) assert.equal((await ask('POST', url)).statusCode, 403, url)
  for (const url of [...questions, '/api/v1/audit']) assert.equal((await ask('GET', url)).statusCode, 200, url)
  assert.deepEqual(done, [])
})

test('where nobody signs in everybody reads, and who has a token acts', async (t) => {
  const { entry, token } = makeToken('ci', ['queues'])
  const { app, done } = await openTestApp(t, { source, apiTokens: { ci: entry } })
  const headers = { host: 'localhost' }
  assert.equal((await app.inject({ url: '/api/v1/queues', headers })).statusCode, 200)
  assert.equal((await app.inject({ method: 'POST', url: '/api/v1/queues/relay/pause', headers })).statusCode, 403)
  const authorization = `Bearer ${token}`
  const reply = await app.inject({
    method: 'POST',
    url: '/api/v1/queues/relay/pause',
    headers: { ...headers, authorization },
  })
  assert.deepEqual([reply.statusCode, done], [200, ['pause relay']])
})

test('what cannot be done is told with its reason and a code', async (t) => {
  const asked = async (error: Error) => {
    const { ask, audit } = await open(t, ['messages'], { operations: failingOperations(error) })
    const reply = await ask('POST', `/api/v1/messages/${sampleId}/hold`)
    assert.equal((await audit.last(1))[0]?.outcome, 'refused')
    return [reply.statusCode, reply.json<{ error: string }>().error]
  }
  assert.deepEqual(await asked(new OperationError('it is held already')), [409, 'it is held already'])
  assert.deepEqual(await asked(new QueueUnavailableError('Redis is away')), [503, 'Redis is away'])
  assert.match(String((await asked(new Error('secret path')))[1]), /the log says why/)
})

interface Document {
  readonly openapi: string
  readonly paths: Readonly<
    Record<
      string,
      Readonly<
        Record<string, { operationId: string; requestBody?: unknown; responses: Readonly<Record<string, unknown>> }>
      >
    >
  >
}

test('the OpenAPI document describes each route, and no other', async (t) => {
  const chosen = [{ id: sampleId, copies: [{ n: 0, state: 'queued' }] }] as const
  const { app, ask, runs } = await open(t, ['read'], { chosen })
  const run = await runs.begin({ action: 'hold', query: '', asOf: sampleAt }, { by: 'ci', name: 'ci', from: '::1' })
  const { openapi, paths } = (await ask('GET', '/api/v1/openapi.json')).json<Document>()
  assert.equal(openapi, '3.1.0')
  const described = Object.entries(paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
  )
  const routes = routesOf(app).filter((one) => one.includes('/api/v1/') && !one.endsWith('openapi.json'))
  assert.deepEqual(described.toSorted(), routes.toSorted())
  assert.ok(routes.length > 50)
  for (const route of routes) {
    const [method = '', path = ''] = route.split(' ')
    const url = path.replace('{name}', 'relay').replace('{id}', sampleId).replace('{run}', run.id)
    // A path without a route is answered by a page.
    assert.match(String((await ask(method as 'GET', url)).headers['content-type']), /json/, route)
  }
  const operations = Object.values(paths).flatMap((one) => Object.values(one))
  assert.equal(new Set(operations.map((one) => one.operationId)).size, routes.length)
  for (const { operationId, responses, requestBody } of operations) {
    const ofMail = operationId.startsWith('postLearn') ? ['415'] : []
    const isPlain =
      /^postMessages.*(Schedule|ham|Block)$|^postQueues.*(Pause|Resume|Schedule)$|^postDomainsNameCheck$|Cancel$/.test(
        operationId,
      )
    const ofFields =
      /^post(Messages|Destinations|Tags|Searches|Dry|Queues|Domains)/.test(operationId) && !isPlain ? ['400'] : []
    const ofSearch = operationId === 'getMessages' ? ['400'] : []
    const codes = ['200', ...ofFields, ...ofSearch, '401', '403', '404', '409', ...ofMail, '503']
    assert.deepEqual(Object.keys(responses), codes, operationId)
    assert.equal(requestBody !== undefined, ofFields.length + ofMail.length > 0, operationId)
  }
})

test('a program looks for messages, and is told why it cannot', async (t) => {
  const copy = {
    state: 'failed',
    rules: ['smtpd.conf:7'],
    remote: '552 Full',
    at: sampleAt,
    mailbox: 'j@x.test',
  } as const
  const shown = { id: sampleId, at: sampleAt, kind: 'received', from: null, tags: ['Filtered'], copyCount: 1 } as const
  const found = { messages: [{ ...shown, copies: [copy] }], next: '4711' }
  const { ask } = await open(t, ['read'], { source: sampleSource({ found }) })
  const told = await ask('GET', '/api/v1/messages?query=status%3Afailed')
  assert.deepEqual(told.json(), plain({ at: sampleAt, ...found }))
  const refused = await ask('GET', '/api/v1/messages?query=status%3Alost')
  assert.equal(refused.statusCode, 400)
  assert.match(refused.json<{ error: string }>().error, /'lost' is not a status: use queued/)
})

/** `GET /api/v1/queues/{name}`: all that the server answers to, as its own tree of routes tells it. */
function routesOf(app: FastifyInstance): readonly string[] {
  const path: string[] = []
  return app
    .printRoutes({ commonPrefix: false })
    .split('\n')
    .flatMap((line) => {
      const [, indent = '', part = '', methods = ''] = /^(.*?)── (\S+) \(([^)]*)\)$/.exec(line) ?? []
      path.splice((indent.length - 1) / 4, path.length, part)
      const whole = path.join('').replaceAll(/:(\w+)/g, '{$1}')
      return methods.split(', ').flatMap((method) => (['GET', 'POST'].includes(method) ? [`${method} ${whole}`] : []))
    })
}
