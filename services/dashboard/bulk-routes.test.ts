import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { makeToken } from '../../shared/config/api-tokens.ts'
import type { Scope } from '../../shared/config/api-tokens.ts'
import { shaCrypt } from '../../shared/crypt/sha-crypt.ts'
import { newMessageId } from '../../shared/mail/message-id.ts'
import type { CopyState } from '../../shared/store/copy-state.ts'
import type { ChosenMessage } from '../../shared/store/found-message.ts'
import { sampleAt, sampleId, sampleSource } from './sample-source.ts'
import { openTestApp, TestBrowser } from './testing.ts'

const hash = (password: string): string => shaCrypt(password, '$6$rounds=1000$abcdefgh')
const operators = { olga: hash('engine'), rita: `reader:${hash('glass')}` }
const shown = { id: sampleId, at: sampleAt, kind: 'received', from: 'a@b.test', tags: [], copyCount: 1 } as const
const found = {
  messages: [{ ...shown, copies: [{ state: 'delayed', rules: [], at: sampleAt, mailbox: 'joe@example.net' }] }],
} as const

function chosenOf(count: number, state: CopyState): readonly ChosenMessage[] {
  return Array.from({ length: count }, () => ({ id: newMessageId(sampleAt), copies: [{ n: 0, state }] }))
}

async function open(t: TestContext, chosen: readonly ChosenMessage[], scopes: readonly Scope[] = []) {
  const { token, entry } = makeToken('ci', scopes)
  const parts = { operators, apiTokens: { ci: entry }, chosen, source: sampleSource({ found }) }
  const opened = await openTestApp(t, parts)
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

/** Resolves when nothing is under way. */
async function ended({ runs }: Awaited<ReturnType<typeof open>>): Promise<void> {
  while ((await runs.list()).some(({ state }) => state !== 'done'))
    await new Promise((resolve) => setImmediate(resolve))
}

test('what is done to all that is found is told with its numbers first, and then how far it is', async (t) => {
  const opened = await open(t, [...chosenOf(130, 'delayed'), ...chosenOf(4, 'held'), ...chosenOf(6, 'delivered')])
  const olga = await opened.browser('olga', 'engine')
  const page = '/messages/actions?q=domain%3Aexample.net'
  assert.match(
    (await olga.get('/messages?q=domain%3Aexample.net')).body,
    /href="\/messages\/actions\?q=domain%3Aexample.net"/,
  )
  const { body } = await olga.get(page)
  assert.match(body, /140 messages[^]*delayed[^]*130[^]*held[^]*4[^]*joe@example\.net/)
  assert.match(
    body,
    /Tries it now[^]*130 messages[^]*Releases it[^]*4 messages[^]*Returns it to its senders[^]*134 messages/,
  )
  assert.match(body, /Releases it<[^]*4 messages <small class="below">what a filter keeps back only with the tick/)
  assert.match(body, /This sends 134 messages again[^]*have it already 140 messages/)
  assert.match(body, /A copy for another address is sent of 140 messages/)
  const asked = { q: 'domain:example.net', asOf: String(sampleAt), action: 'hold' }
  const reply = await olga.send(page, '/messages/actions', asked)
  assert.equal(reply.statusCode, 303)
  const run = reply.headers.location ?? ''
  assert.match(run, /^\/messages\/runs\/[\w-]+$/)
  await ended(opened)
  assert.deepEqual(opened.done.splice(0), [
    'hold domain:example.net 100 olga (dashboard)',
    'hold domain:example.net 30 olga (dashboard)',
  ])
  const told = (await olga.get(run)).body
  assert.match(told, /130 of 130[^]*130 jobs held/)
  assert.doesNotMatch(told, /<button id="(cancel|resume)"/)
  assert.match((await olga.get('/messages/runs')).body, new RegExp(`href="${run}"[^]*130 jobs held`))
  for (const fields of [
    { action: 'reroute', to: 'mx.test', relay: '' },
    { action: 'replay', again: 'yes' },
    { action: 'release', quarantined: 'yes' },
    { action: 'replay', needs: 'to', to: 'lab@example.org' },
  ]) {
    assert.equal((await olga.send(page, '/messages/actions', { ...asked, ...fields })).statusCode, 303)
    await ended(opened)
  }
  assert.equal(opened.done.length, 2 + 35 + 1 + 35)
  assert.deepEqual(
    [opened.done[0], opened.done[2], opened.done[37], opened.done.at(-1)],
    [
      'reroute domain:example.net 100 mx.test olga (dashboard)',
      'replay domain:example.net 4 again olga (dashboard)',
      'release domain:example.net 4 quarantined olga (dashboard)',
      'replay domain:example.net 4 lab@example.org olga (dashboard)',
    ],
  )
  const entries = await opened.audit.last(100)
  assert.ok(
    entries.some(({ by, action, detail }) => `${by} ${action} ${detail}` === 'olga hold, by search 130 jobs held'),
  )
})

test('what cannot be done to what is found is refused with its reason, and kept', async (t) => {
  const opened = await open(t, chosenOf(1, 'delivered'))
  const olga = await opened.browser('olga', 'engine')
  const page = '/messages/actions?q='
  for (const [fields, code, told] of [
    [{ action: 'hold' }, 409, /nothing that is found can be held/],
    [{ action: 'fly' }, 409, /one of schedule, hold/],
    [{ action: 'reroute', to: 'nowhere' }, 409, /is no relay host/],
    [{ action: 'replay', again: 'yes', needs: 'to', to: ' ' }, 409, /this needs &#39;to&#39;; nothing was done/],
    [{ action: 'hold', q: 'form:<b>' }, 400, /&#39;form:&#39; is not known/],
  ] as const) {
    const reply = await olga.send(page, '/messages/actions', { q: '', asOf: 'soon', ...fields })
    assert.equal(reply.statusCode, code)
    assert.match(reply.body, told)
    assert.equal((await opened.audit.last(1))[0]?.outcome, 'refused')
  }
  assert.equal((await olga.get('/messages/actions?q=form%3Ax')).statusCode, 400)
  assert.equal((await olga.get('/messages/runs/0mi8v2c4b-00000000')).statusCode, 404)
  for (const what of ['cancel', 'resume']) {
    const reply = await olga.send(page, `/messages/runs/0mi8v2c4b-00000000/${what}`)
    assert.deepEqual([reply.statusCode, /there is no run/.test(reply.body)], [409, true])
  }
  assert.deepEqual(opened.done, [])
})

test('more than are taken at once is told, and offers nothing', async (t) => {
  const opened = await open(t, chosenOf(50_001, 'queued'))
  const olga = await opened.browser('olga', 'engine')
  const { body } = await olga.get('/messages/actions?q=')
  assert.match(
    body,
    /50000 messages and more[^]*No more than 50,000 messages are taken at once|No more than 50,000[^]*50000 messages and more/,
  )
  assert.doesNotMatch(body, /action="\/messages\/actions"/)
})

test('who may only look sees the numbers and does nothing, and no form does anything without its token', async (t) => {
  const opened = await open(t, chosenOf(2, 'queued'))
  const [rita, olga] = [await opened.browser('rita', 'glass'), await opened.browser('olga', 'engine')]
  const page = '/messages/actions?q='
  const { body } = await rita.get(page)
  assert.match(body, /Holds it<[^]*>2 messages</)
  assert.doesNotMatch(body, /action="\/messages\/actions"/)
  assert.equal((await rita.send(page, '/messages/actions', { q: '', action: 'hold' })).statusCode, 403)
  assert.equal((await olga.post('/messages/actions', { q: '', action: 'hold' })).statusCode, 403)
  assert.equal((await new TestBrowser(opened.app).get(page)).statusCode, 303)
  assert.deepEqual(opened.done, [])
})

test('a run that ended early goes on by a button', async (t) => {
  const opened = await open(t, chosenOf(3, 'queued'))
  const { id } = await opened.runs.begin(
    { action: 'hold', query: '', asOf: sampleAt },
    { by: 'x', name: 'x', from: 'y' },
  )
  const olga = await opened.browser('olga', 'engine')
  const page = `/messages/runs/${id}`
  assert.match((await olga.get(page)).body, /stopped[^]*Go on/)
  assert.equal((await olga.send(page, `${page}/cancel`)).statusCode, 303)
  assert.match((await olga.get(page)).body, /cancelled[^]*Go on/)
  assert.equal((await olga.send(page, `${page}/resume`)).statusCode, 303)
  await ended(opened)
  assert.deepEqual(opened.done, ['hold  3 x'])
})

test('a program asks what would be done, has it done, and follows it', async (t) => {
  const opened = await open(t, [...chosenOf(3, 'delayed'), ...chosenOf(2, 'failed')], ['read', 'messages'])
  const { ask } = opened
  const order = { query: 'status:delayed', action: 'reroute', to: 'mx.test' }
  assert.deepEqual((await ask('POST', 'messages/actions', { ...order, dryRun: true })).json(), {
    done: '3 messages would be rerouted; nothing is changed',
    messages: 3,
    found: 5,
    cut: false,
    states: [
      { state: 'delayed', copies: 3 },
      { state: 'failed', copies: 2 },
    ],
  })
  assert.deepEqual((await ask('GET', 'runs')).json(), { runs: [] })
  const begun = (await ask('POST', 'messages/actions', order)).json<{ run: string; messages: number }>()
  assert.equal(begun.messages, 3)
  await ended(opened)
  const run = (await ask('GET', `runs/${begun.run}`)).json<Record<string, unknown>>()
  assert.deepEqual(
    [run['state'], run['action'], run['by'], run['says'], run['turns']],
    ['done', 'reroute', 'token ci (API)', '3 jobs rerouted', 3],
  )
  assert.equal((await ask('GET', 'runs')).json<{ runs: object[] }>().runs.length, 1)
  for (const [method, url, sent, code] of [
    ['POST', 'messages/actions', { query: 'form:x', action: 'hold' }, 400],
    ['POST', 'messages/actions', { query: '', action: 'fly' }, 409],
    ['POST', 'messages/actions', { query: '', deed: 'hold' }, 400],
    ['POST', `runs/${begun.run}/cancel`, undefined, 409],
    ['POST', `runs/${begun.run}/resume`, undefined, 409],
    ['GET', 'runs/none', undefined, 404],
  ] as const)
    assert.equal((await ask(method, url, sent)).statusCode, code, url)
})
