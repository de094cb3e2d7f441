import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { makeToken } from '../../shared/config/api-tokens.ts'
import { shaCrypt } from '../../shared/crypt/sha-crypt.ts'
import { newMessageId } from '../../shared/mail/message-id.ts'
import { sampleAt } from './sample-source.ts'
import { openTestApp, TestBrowser } from './testing.ts'

const hash = (password: string): string => shaCrypt(password, '$6$rounds=1000$abcdefgh')
const operators = { olga: hash('engine'), ada: `admin:${hash('notes')}`, rita: `reader:${hash('glass')}` }
const chosen = Array.from({ length: 7 }, () => ({ id: newMessageId(sampleAt), copies: [] }))

async function open(t: TestContext) {
  const { token, entry } = makeToken('ci', ['read', 'messages'])
  const opened = await openTestApp(t, { operators, apiTokens: { ci: entry }, chosen })
  const browser = async (name: string, password: string): Promise<TestBrowser> => {
    const one = new TestBrowser(opened.app)
    assert.equal((await one.signIn(name, password)).statusCode, 303)
    return one
  }
  const ask = (method: 'GET' | 'POST', url: string, sent?: object) =>
    opened.app.inject({
      method,
      url: `/api/v1/${url}`,
      headers: { host: 'localhost', authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(sent === undefined ? {} : { payload: JSON.stringify(sent) }),
    })
  return { ...opened, browser, ask }
}

test('a search is saved where it is made, found by its name with its number, renamed and deleted', async (t) => {
  const { browser, audit } = await open(t)
  const olga = await browser('olga', 'engine')
  const made = '/messages?q=status%3Adelayed'
  const save = await olga.send(made, '/messages/searches/save', { q: 'status:delayed', name: 'Stuck <b>' })
  assert.deepEqual([save.statusCode, save.headers.location], [303, made])
  const { body } = await olga.get('/messages')
  assert.match(
    body,
    /href="\/messages\?q=status%3Adelayed" title="status:delayed">Stuck &lt;b&gt; <span class="num">7<\/span>/,
  )
  assert.match((await olga.get('/messages/searches')).body, /Stuck &lt;b&gt;[^]*7[^]*everybody’s/)
  const change = '/messages/searches/change?name=Stuck+%3Cb%3E'
  assert.match((await olga.get(change)).body, /value="Stuck &lt;b&gt;"/)
  const name = 'Stuck <b>'
  assert.equal((await olga.send(change, '/messages/searches/rename', { name, to: 'Late' })).statusCode, 303)
  assert.match((await olga.get('/messages')).body, />Late </)
  const refused = await olga.send('/messages', '/messages/searches/rename', { name, to: 'x' })
  assert.deepEqual([refused.statusCode, /there is no search/.test(refused.body)], [409, true])
  assert.equal((await olga.send('/messages', '/messages/searches/delete', { name: 'late' })).statusCode, 303)
  assert.match((await olga.get('/messages/searches')).body, /None yet/)
  const did = (await audit.last(4)).map(({ action, about, outcome }) => `${action} ${about} ${outcome}`)
  assert.deepEqual(did, [
    'delete search late done',
    'rename search Stuck <b> refused',
    'rename search Stuck <b> done',
    'save search Stuck <b> done',
  ])
})

test('what is saved for one alone is seen by no other, and who may only look saves nothing', async (t) => {
  const { browser } = await open(t)
  const [olga, ada, rita] = [
    await browser('olga', 'engine'),
    await browser('ada', 'notes'),
    await browser('rita', 'glass'),
  ]
  const page = '/messages?q=x'
  await olga.send(page, '/messages/searches/save', { q: 'to:boss@example.org', name: 'Mine', own: 'yes' })
  await olga.send(page, '/messages/searches/save', { q: 'status:held', name: 'Ours' })
  for (const [one, sees] of [
    [olga, true],
    [ada, false],
    [rita, false],
  ] as const) {
    const { body } = await one.get('/messages')
    assert.equal(/boss@example\.org/.test(body), sees)
    assert.match(body, />Ours </)
  }
  assert.equal((await ada.send('/messages', '/messages/searches/delete', { name: 'Mine', own: 'yes' })).statusCode, 409)
  assert.equal((await rita.send('/messages', '/messages/searches/delete', { name: 'Ours' })).statusCode, 403)
  assert.equal((await ada.post('/messages/searches/delete', { name: 'Ours' })).statusCode, 403)
  assert.doesNotMatch((await rita.get('/messages/searches')).body, /Change…/)
  assert.equal((await rita.get('/messages/searches/change?name=Ours')).statusCode, 303)
  assert.match((await olga.get('/messages')).body, />Mine [^]*>Ours /)
})

test('a program keeps searches, and is told what it finds by them', async (t) => {
  const { ask } = await open(t)
  const post = async (url: string, sent: object) => (await ask('POST', url, sent)).statusCode
  assert.equal(await post('searches', { name: 'Late', query: 'status:delayed' }), 200)
  assert.equal(await post('searches', { name: 'Own', query: 'status:held', own: true }), 200)
  const told = (await ask('GET', 'searches')).json<{ searches: readonly object[] }>()
  assert.deepEqual(told.searches, [
    { name: 'Late', query: 'status:delayed', by: 'token ci', at: sampleAt, found: { count: 7, isCut: false } },
    {
      name: 'Own',
      query: 'status:held',
      owner: 'token ci',
      by: 'token ci',
      at: sampleAt,
      found: { count: 7, isCut: false },
    },
  ])
  assert.equal(await post('searches/rename', { name: 'own', to: 'Mine', own: true }), 200)
  assert.equal(await post('searches/delete', { name: 'late' }), 200)
  assert.equal(await post('searches/delete', { name: 'late' }), 409)
  assert.equal(await post('searches', { name: 'x', query: 'form:x' }), 400)
  assert.equal(await post('searches', { name: 'x', text: 'x' }), 400)
})
