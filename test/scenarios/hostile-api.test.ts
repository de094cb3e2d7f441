import assert from 'node:assert/strict'
import { request } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { test } from 'node:test'
import { text } from 'node:stream/consumers'

import { makeToken, scopes } from '../../shared/config/api-tokens.ts'
import { atEnd } from '../support/at-end.ts'
import { standardConf, standardPipeline } from '../support/configurations.ts'
import { MailSystem } from '../support/mail-system.ts'
import { idOf, testMessage } from '../support/messages.ts'
import { operatorPassword, operatorsFile } from '../support/operators.ts'
import { SmtpClient } from '../support/smtp-client.ts'

/** In place of an id, a queue, a domain, a tag, a run or a webhook. */
const names = [
  '..',
  '..%2f..%2f..%2fetc%2fpasswd',
  '%00',
  '%0d%0aset-cookie:%20a=b',
  '%ff',
  '%',
  '%27%22%3b--',
  '%1b%5b2J',
  '%f0%9f%92%a9',
  'constructor',
  '__proto__',
  '*',
  'a'.repeat(250),
  '0mi8v2c4bm99999999',
  '000000000-00000000',
]

/** As a value in a query and in JSON. */
const texts = [
  '',
  ' ',
  '\u0000',
  '\ud800',
  '\u001b[2J',
  '\r\nX: y',
  '../../etc/passwd',
  '-1',
  '1e999',
  '99999999999999999999',
  '__proto__',
  'constructor:x',
  `'";)--`,
  '"NEAR(a b)" OR *',
  'subject:"a* AND (b"',
  'text:NOT',
  'message-id:<%_\\>',
  'from:%_@[:*?',
  'domain:\u202e.test client:::/0 rule::0 user:\u0000',
  `after:0001-01-01 before:9999-12-31 ${'-"a b" '.repeat(15)}`,
  'time:0000-00-00..9999-99-99',
  `to:${'a@b,'.repeat(19)}c@d`,
  'ü'.repeat(900),
  'jane@sluice.test',
  '<script>alert(1)</script>@[127.0.0.1]',
  'smtp://[::1]:99999',
  'https://localhost/',
]

/** Whole bodies. */
const bodies = [
  '',
  'null',
  '[]',
  '"x"',
  '{',
  '\u0000',
  '{"__proto__":{"a":1}}',
  '{"constructor":"x"}',
  '['.repeat(3_000),
  `{"a":${'{"a":'.repeat(1_000)}1${'}'.repeat(1_001)}`,
]

interface Described {
  readonly parameters?: readonly { readonly name: string; readonly in: string }[]
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: { properties?: object } }>> }
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Described>>>>
}

interface Ask {
  readonly method: string
  readonly path: string
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** Pages with a name in their path, and those with fields in their query. */
const pages: readonly Ask[] = [
  ...['queues', 'messages', 'destinations', 'tags', 'domains', 'messages/runs', 'quarantine'].flatMap((place) =>
    names.map((name) => get(`/${place}/${name}`)),
  ),
  ...['change', 'preview', 'source', 'source.eml', 'replay', 'remove'].flatMap((what) =>
    names.map((name) => get(`/messages/${name}/${what}`)),
  ),
  ...[
    '/messages?q',
    '/messages?before',
    '/messages/actions?q',
    '/messages/searches/change?name',
    '/queues/relay?start',
    '/queues/relay?state',
    '/held?start',
    '/held/remove?id',
    '/events?word',
    '/events?event',
    '/rules?rcpt',
    '/rules?rcpt=jane@sluice.test&client',
    '/rules?rcpt=jane@sluice.test&tag',
    '/rules?rcpt=jane@sluice.test&from',
    '/reports?days',
    '/reports?domain',
    '/filters?days',
    '/system?word',
    '/sign-in?to',
  ].flatMap((page) => texts.map((value) => get(`${page}=${quoted(value)}`))),
]

/** Half of a pair is what a browser makes of it. */
function quoted(value: string): string {
  return encodeURIComponent(Buffer.from(value).toString())
}

function get(path: string): Ask {
  return { method: 'GET', path }
}

test('nothing that is sent breaks the API or a page: what cannot be understood is told, and it goes on', async (t) => {
  const { token, entry } = makeToken('fuzz', scopes)
  const system = await MailSystem.start({
    conf: standardConf({ more: 'table tokens file:{{folder}}/tokens\ntable operators file:{{folder}}/operators' }),
    pipeline: standardPipeline('dashboard listen "127.0.0.1:{{http}}" auth <operators> tokens <tokens>'),
    files: { tokens: `fuzz ${entry}\n`, operators: operatorsFile },
  })
  atEnd(t, () => system.stop())
  const id = await receiveOne(system)
  const ask = async ({ method, path, body, headers }: Ask): Promise<Answer> => {
    const asked = request({ host: '127.0.0.1', port: system.port('http'), method, path, agent: false })
    for (const [name, value] of Object.entries({ ...headers })) asked.setHeader(name, value)
    asked.end(body)
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      asked.on('response', resolve).on('error', reject)
    })
    return { code: response.statusCode ?? 0, told: await text(response), headers: response.headers }
  }

  const bearer = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  const document = JSON.parse(
    (await ask({ method: 'GET', path: '/api/v1/openapi.json', headers: bearer })).told,
  ) as Document
  const ofApi = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, described]) => hostileOnes(method.toUpperCase(), path, described, id)),
  )
  assert.ok(ofApi.length > 1_000, String(ofApi.length))
  const cookie = await signIn(ask)
  const questions = [
    ...ofApi.map((one) => ({ ...one, headers: bearer })),
    ...pages.map((one) => ({ ...one, headers: { cookie } })),
  ]
  const broken: string[] = []
  for (const question of questions) {
    const { code, told, headers } = await ask(question)
    const isAskedToSignIn = code === 401 || headers.location?.startsWith('/sign-in') === true
    const isBroken = code < 200 || code >= 500 || isAskedToSignIn
    if (isBroken) broken.push(`${code} ${JSON.stringify(question).slice(0, 300)} ${told.slice(0, 200)}`)
  }
  assert.deepEqual(broken, [])
  assert.deepEqual(
    system.log.filter(({ msg }) => msg === 'dashboard failed'),
    [],
  )
  assert.equal((await ask({ method: 'GET', path: '/', headers: { cookie } })).code, 200)
})

interface Answer {
  readonly code: number
  readonly told: string
  readonly headers: IncomingMessage['headers']
}

async function receiveOne(system: MailSystem): Promise<string> {
  const client = await SmtpClient.ready({ port: system.port('smtp') })
  const [from, to] = ['friend@remote.test', 'jane@sluice.test']
  const id = idOf(await client.send({ from, to: [to], content: Buffer.from(testMessage({ from, to, id: 'one' })) }))
  await client.quit()
  await system.waitForEvent('delivered', id)
  return id
}

/** The cookie of somebody who may do all. */
async function signIn(ask: (asked: Ask) => Promise<Answer>): Promise<string> {
  const form = await ask(get('/sign-in'))
  const visit = String(form.headers['set-cookie']).split(';')[0] ?? ''
  const token = /name="token" value="([\w-]+)"/.exec(form.told)?.[1] ?? ''
  const headers = { cookie: visit, 'content-type': 'application/x-www-form-urlencoded' }
  const body = new URLSearchParams({ token, name: 'ada', password: operatorPassword }).toString()
  const { code, headers: told } = await ask({ method: 'POST', path: '/sign-in', headers, body })
  assert.equal(code, 303)
  return told['set-cookie']?.[0]?.split(';')[0] ?? ''
}

function hostileOnes(method: string, path: string, described: Described, id: string): readonly Ask[] {
  const known = path.includes('/messages/{id}') ? id : 'relay'
  const at = (name: string): string => path.replace(/\{\w+\}/, name)
  const [fields] = Object.values(described.requestBody?.content ?? {}).map(({ schema }) =>
    Object.keys(schema.properties ?? {}),
  )
  const inQuery = (described.parameters ?? []).filter((one) => one.in === 'query')
  const ofPath = path.includes('{') ? names.map((name): Ask => ({ method, path: at(name), body: '{}' })) : []
  const ofQuery = inQuery.flatMap(({ name }) =>
    texts.map((value): Ask => ({ method, path: `${at(known)}?${name}=${quoted(value)}` })),
  )
  if (method !== 'POST') return [...ofPath, ...ofQuery]
  const ofFields = (fields ?? []).flatMap((name) =>
    [...texts, 1, null, true, [], {}].map((value): Ask => ({
      method,
      path: at(known),
      body: JSON.stringify({ dryRun: true, [name]: value }),
    })),
  )
  return [...ofPath, ...ofQuery, ...bodies.map((body): Ask => ({ method, path: at(known), body })), ...ofFields]
}
