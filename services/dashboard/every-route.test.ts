import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import type { FastifyInstance } from 'fastify'

import { makeToken, scopes } from '../../shared/config/api-tokens.ts'
import type { Scope } from '../../shared/config/api-tokens.ts'
import { shaCrypt } from '../../shared/crypt/sha-crypt.ts'
import { sampleId, sampleMessage, sampleSource } from './sample-source.ts'
import { openTestApp, routesOf, TestBrowser, tokenIn } from './testing.ts'
import type { TestAppOptions } from './testing.ts'

/**
 * Who is let in: everybody; whoever is not asked to sign in, or has; by his role (`letters`: also while the dashboard is `read-only`);
 * or who has a scope of the API.
 */
type Right = 'everybody' | 'known' | 'letters' | 'operator' | 'admin' | `scope ${Scope}`

const known: Right = 'known'

/** Each route there is. A new one has its row. */
const rights: Readonly<Record<string, Right>> = {
  ...each('GET', 'everybody', ['/assets/sluice.css', '/assets/live.js', '/assets/icon.svg']),
  ...each('GET', 'everybody', ['/health', '/ready', '/alive', '/metrics']),
  ...each('GET', known, ['/', '/queues', '/queues/:name', '/held', '/destinations', '/destinations/:name']),
  ...each('GET', known, ['/messages', '/messages/:id', '/messages/actions', '/messages/runs', '/messages/runs/:run']),
  ...each('GET', known, ['/messages/searches', '/tags/:name', '/reports', '/rules', '/system', '/filters']),
  ...each('GET', known, ['/domains', '/domains/:name', '/events', '/events/stream', '/live']),
  ...each('GET', 'letters', ['/messages/:id/preview', '/messages/:id/source', '/messages/:id/source.eml']),
  ...each('GET', 'operator', ['remove', 'release', 'replay', 'change'].map(ofMessage)),
  ...each('GET', 'operator', ['release', 'release-ham', 'block', 'remove'].map(ofHeld)),
  'GET /quarantine/:link': 'everybody',
  'POST /quarantine/:link': 'everybody',

  ...each('POST', 'operator', ['pause', 'resume', 'schedule', 'limit'].map(ofQueue)),
  ...each('POST', 'operator', ['schedule', 'hold', 'release', 'release-ham', 'block', 'remove'].map(ofMessage)),
  ...each('POST', 'operator', ['expire', 'reroute', 'readdress', 'replay'].map(ofMessage)),
  ...each('POST', 'operator', ['release', 'release-ham', 'block', 'remove'].map(ofHeld)),
  ...each('POST', 'operator', ['/messages/actions', '/messages/runs/:run/cancel', '/messages/runs/:run/resume']),
  ...each(
    'POST',
    'operator',
    ['save', 'rename', 'delete'].map((what) => `/messages/searches/${what}`),
  ),
  ...each('POST', 'operator', ofMany('')),
  ...each('POST', 'operator', ['/webhooks/:name/test', '/domains/:name/check']),
  ...each(
    'POST',
    'admin',
    ['generate', 'rotate', 'retire'].map((what) => `/domains/:name/${what}`),
  ),
  ...each('GET', 'admin', ['/rules/dry-run', '/rules/dry-run/result']),
  ...each('POST', 'admin', ['/rules/dry-run', '/rules/dry-run/cancel']),

  'GET /api/v1/openapi.json': known,
  ...api('GET', 'read', ['queues', 'queues/:name', 'held', 'destinations', 'messages', 'messages/:id', 'rules/hits']),
  ...api(
    'GET',
    'read',
    ['dmarc', 'tls', 'abuse', 'traffic', 'recipients', 'hours'].map((what) => `reports/${what}`),
  ),
  ...api('GET', 'read', ['runs', 'runs/:run', 'searches', 'domains', 'domains/:name', 'filters', 'webhooks']),
  ...api('GET', 'read', ['system', 'health']),
  ...api('GET', 'audit', ['users', 'audit']),
  ...api('GET', 'content', ['messages/:id/source']),
  ...api(
    'POST',
    'queues',
    ['pause', 'resume', 'schedule', 'limit'].map((what) => `queues/:name/${what}`),
  ),
  ...api('POST', 'queues', ['webhooks/:name/test', 'domains/:name/check']),
  ...api(
    'POST',
    'keys',
    ['generate', 'rotate', 'retire'].map((what) => `domains/:name/${what}`),
  ),
  ...api(
    'POST',
    'messages',
    ['schedule', 'hold', 'release', 'release-ham', 'block'].map((one) => `messages/:id/${one}`),
  ),
  ...api(
    'POST',
    'messages',
    ['remove', 'expire', 'reroute', 'readdress', 'replay'].map((one) => `messages/:id/${one}`),
  ),
  ...api('POST', 'messages', ['messages/actions', 'runs/:run/cancel', 'runs/:run/resume']),
  ...api('POST', 'messages', ['searches', 'searches/rename', 'searches/delete']),
  ...each('POST', 'scope messages', ofMany('/api/v1')),
  ...api('GET', 'configuration', ['dry-run']),
  ...api('POST', 'configuration', ['dry-run', 'dry-run/cancel']),
  ...api('POST', 'learn', ['learn/ham', 'learn/spam', 'learn/forget']),
}

/** The way in and out has tests of its own; so has the form of a search, which leads back where there is none. */
const doors: ReadonlySet<string> = new Set([
  'GET /sign-in',
  'POST /sign-in',
  'POST /sign-out',
  'GET /messages/searches/change',
])

function each(method: 'GET' | 'POST', right: Right, paths: readonly string[]): Readonly<Record<string, Right>> {
  return Object.fromEntries(paths.map((path) => [`${method} ${path}`, right]))
}

function api(method: 'GET' | 'POST', scope: Scope, paths: readonly string[]): Readonly<Record<string, Right>> {
  return each(
    method,
    `scope ${scope}`,
    paths.map((path) => `/api/v1/${path}`),
  )
}

function ofMessage(what: string): string {
  return `/messages/:id/${what}`
}

function ofHeld(what: string): string {
  return `/held/${what}`
}

function ofQueue(what: string): string {
  return `/queues/:name/${what}`
}

function ofMany(base: string): readonly string[] {
  const names = ['schedule', 'hold', 'release', 'expire', 'remove', 'reroute']
  return ['destinations', 'tags'].flatMap((place) => names.map((name) => `${base}/${place}/:name/${name}`))
}

/** Somebody, what the table of rights lets him do, and how he asks. */
interface Asker {
  readonly name: string
  readonly may: (right: Right) => boolean
  readonly app: FastifyInstance
  readonly headers: Readonly<Record<string, string>>
  /** The hidden field of forms. */
  readonly formToken?: string
}

const hash = shaCrypt('engine', '$6$rounds=1000$abcdefgh')
const operators = { rita: `reader:${hash}`, olga: hash, ada: `admin:${hash}` }
const everywhere = { source: sampleSource({ message: sampleMessage() }), operators }
const ofReader: readonly Right[] = ['everybody', 'known', 'scope read']
const ofOperator: readonly Right[] = [...ofReader, 'letters', 'operator']
const ofAdmin: readonly Right[] = [...ofOperator, 'admin', 'scope audit']

async function stranger(t: TestContext): Promise<Asker> {
  const { app } = await openTestApp(t, everywhere)
  return { name: 'a stranger', may: (right) => right === 'everybody', app, headers: {} }
}

async function anybody(t: TestContext): Promise<Asker> {
  const { app } = await openTestApp(t, { source: everywhere.source })
  return { name: 'anybody where nobody signs in', may: (right) => ofReader.includes(right), app, headers: {} }
}

async function signedIn(
  t: TestContext,
  who: string,
  may: readonly Right[],
  options: TestAppOptions = {},
): Promise<Asker> {
  const { app } = await openTestApp(t, { ...everywhere, ...options })
  const name = options.readOnly === true ? `${who}, read-only` : who
  return { name, may: (right) => may.includes(right), app, ...(await signIn(app, who)) }
}

async function signIn(app: FastifyInstance, who: string): Promise<Pick<Asker, 'headers' | 'formToken'>> {
  const browser = new TestBrowser(app)
  assert.equal((await browser.signIn(who, 'engine')).statusCode, 303)
  const cookie = [...browser.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
  return { headers: { cookie }, formToken: tokenIn((await browser.get('/')).body) }
}

async function program(t: TestContext, has: readonly Scope[], options: TestAppOptions = {}): Promise<Asker> {
  const { token, entry } = makeToken('ci', has)
  const { app } = await openTestApp(t, { ...everywhere, apiTokens: { ci: entry }, ...options })
  const looking: readonly Right[] = ['scope read', 'scope audit', 'scope content']
  const held: readonly Right[] = has.map((scope): Right => `scope ${scope}`)
  const may = options.readOnly === true ? held.filter((right) => looking.includes(right)) : held
  return {
    name: `a token of ${has.join(', ')}${options.readOnly === true ? ', read-only' : ''}`,
    may: (right) => right === 'everybody' || may.includes(right),
    app,
    headers: { authorization: `Bearer ${token}` },
  }
}

/** Whether the route did what is asked, or said what is wrong with the question; not: "sign in", "not for you", or the page it stands on. */
async function isLetIn(
  { app, headers, formToken }: Pick<Asker, 'app' | 'headers' | 'formToken'>,
  route: string,
): Promise<boolean> {
  const [method = '', path = ''] = route.split(' ')
  const url = path.replace(':id', sampleId).replace(/:\w+/, 'one')
  const isApi = url.startsWith('/api/')
  const response = await app.inject({
    method: method === 'POST' ? 'POST' : 'GET',
    url,
    headers: {
      host: 'localhost',
      'content-type': isApi ? 'application/json' : 'application/x-www-form-urlencoded',
      ...headers,
    },
    ...(method === 'POST' ? { payload: isApi ? '{}' : `token=${formToken ?? ''}` } : {}),
    payloadAsStream: true,
  })
  response.stream().destroy()
  const { statusCode, headers: told } = response
  assert.ok(statusCode < 500, `${route}: ${statusCode}`)
  if (statusCode === 401 || statusCode === 403) return false
  return statusCode !== 303 || (method === 'POST' && !String(told.location).startsWith('/sign-in'))
}

test('each route lets in whom it should, and nobody else', async (t) => {
  const askers = [
    await stranger(t),
    await anybody(t),
    await signedIn(t, 'rita', ofReader),
    await signedIn(t, 'olga', ofOperator),
    await signedIn(t, 'ada', ofAdmin),
    await signedIn(t, 'ada', [...ofReader, 'letters', 'scope audit'], { readOnly: true }),
    ...(await Promise.all(scopes.map((scope) => program(t, [scope])))),
    await program(t, scopes, { readOnly: true }),
  ]
  const wrong: string[] = []
  for (const asker of askers) {
    await asker.app.ready()
    const routes = new Set(routesOf(asker.app))
    const [known, left] = [new Set(Object.keys(rights)), [...routes].filter((route) => !doors.has(route))]
    assert.deepEqual(
      left.filter((route) => !known.has(route)),
      [],
      'who may what is new? give it a row',
    )
    assert.deepEqual(
      [...known].filter((route) => !routes.has(route)),
      [],
      'rows of what is no more',
    )
    for (const [route, right] of Object.entries(rights)) {
      // A program that has shown its token may read what the API is; nothing else is for whoever is known.
      const isDocument = route === 'GET /api/v1/openapi.json' && 'authorization' in asker.headers
      const should = isDocument || asker.may(right)
      if ((await isLetIn(asker, route)) !== should) wrong.push(`${asker.name} ${should ? 'may' : 'may not'} ${route}`)
    }
  }
  assert.deepEqual(wrong, [])
})

test('no form does anything without the token of its page, also for an administrator', async (t) => {
  const ada = await signedIn(t, 'ada', ofAdmin)
  for (const route of Object.keys(rights).filter((one) => /^POST (?!\/api|\/quarantine)/.test(one)))
    for (const formToken of ['', 'x'.repeat(43)])
      assert.equal(await isLetIn({ ...ada, formToken }, route), false, route)
})

test('what somebody tried and may not is in the audit log, with his name', async (t) => {
  const { token, entry } = makeToken('ci', ['read'])
  const { app, audit } = await openTestApp(t, { ...everywhere, apiTokens: { ci: entry } })
  const rita = { app, ...(await signIn(app, 'rita')) }
  const ci = { app, headers: { authorization: `Bearer ${token}` } }
  for (const [route, right] of Object.entries(rights)) {
    if (right === 'everybody' || !(route.startsWith('POST') || right === 'letters' || right === 'scope content'))
      continue
    const [asker, name] = route.includes('/api/') ? [ci, 'token ci'] : [rita, 'rita']
    assert.equal(await isLetIn(asker, route), false, route)
    const [last, before] = await audit.last(2)
    assert.deepEqual([last?.by, last?.outcome], [name, 'refused'], route)
    assert.notDeepEqual(last, before, route)
  }
})
