import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { makeToken } from '../../shared/config/api-tokens.ts'
import { loadConfiguration } from '../../shared/config/load.ts'
import { shaCrypt } from '../../shared/crypt/sha-crypt.ts'
import { openTestApp, TestBrowser, tokenIn } from './testing.ts'

const hash = (password: string): string => shaCrypt(password, '$6$rounds=1000$abcdefgh')
const operators = { ada: `admin:${hash('notes')}`, olga: hash('engine') }
const text = 'listen on 127.0.0.1 port 2525\naction "out" relay\nmatch from any for domain "<a>.test" action "out"\n'

async function open(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-dry-'))
  t.after(() => rm(folder, { recursive: true }))
  const smtpdConf = join(folder, 'smtpd.conf')
  await writeFile(smtpdConf, text)
  const origin = { smtpdConf, hostname: 'mx.example.org' }
  const { texts } = await loadConfiguration(origin)
  const { token, entry } = makeToken('ci', ['configuration'])
  const opened = await openTestApp(t, { operators, apiTokens: { ci: entry }, loaded: { texts, origin } })
  const browser = async (name: string, password: string): Promise<TestBrowser> => {
    const one = new TestBrowser(opened.app)
    assert.equal((await one.signIn(name, password)).statusCode, 303)
    return one
  }
  const ask = (method: 'GET' | 'POST', path: string, sent?: object) =>
    opened.app.inject({
      method,
      url: `/api/v1/${path}`,
      headers: { host: 'localhost', authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(sent === undefined ? {} : { payload: JSON.stringify(sent) }),
    })
  return { ...opened, browser, ask }
}

test('an administrator tries a changed text from the page, and reads what would change', async (t) => {
  const { browser, dryRuns, audit } = await open(t)
  const ada = await browser('ada', 'notes')
  const page = '/rules/dry-run'
  assert.match((await ada.get(page)).body, /&lt;a&gt;\.test/)
  assert.match((await ada.get(`${page}/result`)).body, /None was tried/)
  const odd = await ada.send(page, page, { smtpdConf: text, days: 'many' })
  assert.equal(odd.statusCode, 409)
  assert.match(odd.body, /many[^]* is not a number/)
  const large = `${text}${'# more\n'.repeat(20_000)}`
  const begun = await ada.send(page, page, { smtpdConf: large, pipelineConf: '', days: '2', junk: '7.5' })
  assert.deepEqual([begun.statusCode, begun.headers.location], [303, `${page}/result`])
  await dryRuns.settled()
  assert.match(
    (await ada.get(`${page}/result`)).body,
    /Mail of the last 2 days; begun by ada[^]*of 0 recipients of 0 messages/,
  )
  await ada.send(page, page, { smtpdConf: `${text}match <b>nonsense</b>\n`, pipelineConf: '', days: '2' })
  await dryRuns.settled()
  assert.match((await ada.get(`${page}/result`)).body, /not a configuration that can be tried[^]*smtpd\.conf:4/)
  assert.doesNotMatch((await ada.get(`${page}/result`)).body, /<b>nonsense/)
  const did = await audit.last(3)
  assert.deepEqual(
    did.map(({ by, action, outcome }) => [by, action, outcome]),
    [
      ['ada', 'try a configuration', 'done'],
      ['ada', 'try a configuration', 'done'],
      ['ada', 'try a configuration', 'refused'],
    ],
  )
})

test('a file is tried in place of the text beside it, by a form that is ours', async (t) => {
  const { browser, app, dryRuns } = await open(t)
  const ada = await browser('ada', 'notes')
  const page = '/rules/dry-run'
  const { body } = await ada.get(page)
  assert.match(body, /<form[^>]* enctype="multipart\/form-data">[^]*<input type="file" name="smtpdConf">/)
  const form = (token: string, file: File): FormData => {
    const filled = new FormData()
    filled.append('token', token)
    filled.append('smtpdConf', file)
    filled.append('smtpdConf', text)
    filled.append('pipelineConf', '')
    filled.append('pipelineConf', new File([], ''))
    filled.append('days', '2')
    return filled
  }
  const changed = new File([`${text}match <b>from a file</b>\n`], 'next.conf')
  const foreign = await ada.upload(page, form('x'.repeat(43), changed))
  assert.equal(foreign.statusCode, 403)
  assert.equal(dryRuns.state, undefined)
  const begun = await ada.upload(page, form(tokenIn(body), changed))
  assert.deepEqual([begun.statusCode, begun.headers.location], [303, `${page}/result`])
  await dryRuns.settled()
  assert.match((await ada.get(`${page}/result`)).body, /can be tried[^]*smtpd\.conf:4[^]*&lt;b&gt;from a file/)
  await ada.upload(page, form(tokenIn(body), new File([], '')))
  await dryRuns.settled()
  assert.match((await ada.get(`${page}/result`)).body, /of 0 recipients of 0 messages/)

  assert.equal((await ada.upload(page, form(tokenIn(body), new File(['#'.repeat(3 << 20)], 'x')))).statusCode, 413)
  const olga = await browser('olga', 'engine')
  assert.equal((await olga.upload(page, form(tokenIn((await olga.get('/')).body), changed))).statusCode, 403)
  const cookie = [...ada.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
  for (const [type, payload] of [
    ['multipart/form-data', 'x'],
    ['multipart/form-data; boundary=a', '--a\r\nno header\r\n'],
  ] as const) {
    const headers = { host: 'localhost', cookie, 'content-type': type }
    assert.equal((await app.inject({ method: 'POST', url: page, headers, payload })).statusCode, 400)
  }
  const elsewhere = { host: 'localhost', cookie, 'content-type': 'multipart/form-data; boundary=a' }
  const other = await app.inject({ method: 'POST', url: '/sign-out', headers: elsewhere, payload: '--a--\r\n' })
  assert.equal(other.statusCode, 415)
})

test('nobody else sees the texts, or tries some; a foreign form neither', async (t) => {
  const { browser, app, dryRuns } = await open(t)
  const olga = await browser('olga', 'engine')
  assert.doesNotMatch((await olga.get('/rules')).body, /rules\/dry-run/)
  for (const path of ['/rules/dry-run', '/rules/dry-run/result']) assert.equal((await olga.get(path)).statusCode, 403)
  const ada = await browser('ada', 'notes')
  assert.equal((await ada.post('/rules/dry-run', { smtpdConf: text })).statusCode, 403)
  assert.equal((await app.inject({ url: '/rules/dry-run', headers: { host: 'localhost' } })).statusCode, 303)
  assert.equal(dryRuns.state, undefined)
})

test('a program sends a changed configuration, and asks how far it is', async (t) => {
  const { ask, dryRuns } = await open(t)
  assert.deepEqual((await ask('GET', 'dry-run')).json(), {})
  assert.equal((await ask('POST', 'dry-run', { days: '1000' })).statusCode, 409)
  assert.equal((await ask('POST', 'dry-run', { smtpd: '' })).statusCode, 400)
  const begun = await ask('POST', 'dry-run', { smtpdConf: text, days: '2' })
  assert.deepEqual([begun.statusCode, begun.json<{ state: { by: string } }>().state.by], [200, 'token ci'])
  await dryRuns.settled()
  const { state } = (await ask('GET', 'dry-run')).json<{
    state: { outcome: { kind: string; found: { messages: number } } }
  }>()
  assert.deepEqual([state.outcome.kind, state.outcome.found.messages], ['done', 0])
  assert.equal((await ask('POST', 'dry-run/cancel')).statusCode, 200)
})
