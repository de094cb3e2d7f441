import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import type { OAuthSetting } from '../config/model.ts'
import { httpLogin } from './http-login.ts'
import { LoginUnavailableError } from './login-backend.ts'
import { oauthLogin } from './oauth-login.ts'
import { startHttp } from './testing.ts'

const client = { address: '192.0.2.7', secure: true }
const timeoutMs = 60_000

test('a service of our own is told who asks, with our secret, and says yes, no, or under which name', async (t) => {
  const secretFile = await fileWith(t, 'our secret\n')
  const { url, requests } = await start(t, (body) =>
    body.includes('wrong') ? { status: 403 } : { status: 200, body: body.includes('JANE') ? '{"user":"jane"}' : 'ok' },
  )
  const { checkPassword } = httpLogin({ kind: 'http', url, secretFile, timeoutMs })
  assert.deepEqual(await checkPassword?.('JANE', 'secret', client), { kind: 'accepted', user: 'jane' })
  assert.deepEqual(await checkPassword?.('joe', 'secret', client), { kind: 'accepted', user: 'joe' })
  assert.deepEqual(await checkPassword?.('joe', 'wrong', client), { kind: 'refused' })
  assert.equal(requests[0]?.headers.authorization, 'Bearer our secret')
  assert.deepEqual(JSON.parse(requests[0]?.body ?? ''), {
    user: 'JANE',
    password: 'secret',
    address: '192.0.2.7',
    secure: true,
  })
})

for (const [what, answer] of Object.entries({
  'an error': { status: 500 },
  'a redirection': { status: 302, headers: { location: 'http://127.0.0.1:1/' } },
  'an endless answer': { status: 200, body: 'x'.repeat(70_000) },
})) {
  test(`${what} of the service is a temporary failure`, async (t) => {
    const { url } = await start(t, () => answer)
    const backend = httpLogin({ kind: 'http', url, timeoutMs })
    await assert.rejects(async () => backend.checkPassword?.('jane', 'x', client), LoginUnavailableError)
  })
}

test('a service that is away, or a secret that cannot be read, is a temporary failure', async (t) => {
  const service = await start(t, () => ({ status: 200 }))
  const unread = httpLogin({ kind: 'http', url: service.url, secretFile: '/nonexistent', timeoutMs })
  await assert.rejects(async () => unread.checkPassword?.('jane', 'x', client), LoginUnavailableError)
  await service.close()
  const away = httpLogin({ kind: 'http', url: service.url, timeoutMs })
  await assert.rejects(async () => away.checkPassword?.('jane', 'x', client), LoginUnavailableError)
})

test('a token lets in whom it is for, while it holds, for the scope it has', async (t) => {
  const { url, requests } = await start(t, (body) => ({
    status: 200,
    body: JSON.stringify(answers[new URLSearchParams(body).get('token') ?? ''] ?? { active: false }),
  }))
  const secretFile = await fileWith(t, 's&cret')
  const backend = oauth(url, { client: { id: 'sluice', secretFile }, userField: 'email', scope: 'mail' })
  const check = (token: string, user = ''): unknown => backend.checkToken?.(token, user)
  assert.deepEqual(await check('good'), { kind: 'accepted', user: 'jane@example.org' })
  assert.deepEqual(await check('good', 'Jane@example.org'), { kind: 'accepted', user: 'jane@example.org' })
  for (const token of ['unknown', 'over', 'elsewhere', 'nameless', 'split'])
    assert.deepEqual(await check(token), { kind: 'refused' }, token)
  assert.deepEqual(await check('good', 'joe@example.org'), { kind: 'refused' })
  assert.equal(requests[0]?.headers.authorization, `Basic ${Buffer.from('sluice:s%26cret').toString('base64')}`)
  assert.equal(requests[0]?.body, 'token=good&token_type_hint=access_token')
})

test('a server of tokens that cannot tell is a temporary failure', async (t) => {
  for (const answer of [{ status: 401 }, { status: 200, body: 'sorry' }]) {
    const { url } = await start(t, () => answer)
    await assert.rejects(async () => oauth(url).checkToken?.('good', ''), LoginUnavailableError)
  }
})

const exp = 1_800_000_000
const answers: Readonly<Record<string, object>> = {
  good: { active: true, email: 'jane@example.org', scope: 'openid mail', exp },
  over: { active: true, email: 'jane@example.org', scope: 'mail', exp: exp - 100_000_000 },
  elsewhere: { active: true, email: 'jane@example.org', scope: 'calendar' },
  nameless: { active: true, scope: 'mail' },
  split: { active: true, email: 'jane\r\nroot', scope: 'mail' },
}

function oauth(introspectUrl: string, more: Partial<OAuthSetting> = {}) {
  const setting = { kind: 'oauth', introspectUrl, userField: 'username', timeoutMs, ...more } as const
  return oauthLogin(setting, () => (exp - 1) * 1_000)
}

async function start(t: TestContext, answer: Parameters<typeof startHttp>[0]) {
  const server = await startHttp(answer)
  t.after(() => server.close())
  return server
}

async function fileWith(t: TestContext, content: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'login-'))
  t.after(() => rm(folder, { recursive: true }))
  await writeFile(join(folder, 'secret'), content)
  return join(folder, 'secret')
}
