import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { shaCrypt } from '../../shared/crypt/sha-crypt.ts'
import type { LinkAction } from '../../shared/quarantine/links.ts'
import { sampleAt, sampleId } from './sample-source.ts'
import { openTestApp, sampleSigner } from './testing.ts'
import type { TestAppOptions } from './testing.ts'

const operators = { ada: `admin:${shaCrypt('notes', '$6$rounds=1000$abcdefgh')}` }
const dayMs = 86_400_000

function linkTo(action: LinkAction, recipient = 0, expiresAt = sampleAt + dayMs): string {
  return `/quarantine/${sampleSigner.sign({ id: sampleId, recipient, action, expiresAt })}`
}

async function open(t: TestContext, options: TestAppOptions = { operators }) {
  const opened = await openTestApp(t, options)
  const ask = async (method: 'GET' | 'HEAD' | 'POST', url: string, host = 'mail.example.org') => {
    const form = method === 'POST' ? { 'content-type': 'application/x-www-form-urlencoded' } : {}
    const { statusCode, body } = await opened.app.inject({ method, url, headers: { host, ...form } })
    return { code: statusCode, body }
  }
  return { ...opened, ask }
}

test('a mail scanner that follows every link changes nothing; the form of the page does, once, without sign-in', async (t) => {
  const { ask, done, audit } = await open(t)
  for (const action of ['release', 'ham', 'delete', 'block'] as const) {
    const { code, body } = await ask('GET', linkTo(action))
    assert.equal(code, 200)
    assert.match(body, /<form method="post">/)
    assert.match(body, /win@spam\.example[^]*jane0@sluice\.test[^]*spam &lt;b&gt;score&lt;\/b&gt;/)
    assert.doesNotMatch(body, /href="\/queues"|http-equiv/)
    assert.equal((await ask('HEAD', linkTo(action))).code, 200)
  }
  assert.deepEqual(done, [])
  assert.match((await ask('POST', linkTo('ham'))).body, /on its way to the mailbox; learned as ham/)
  assert.deepEqual(done, ['release 0 jane0@sluice.test (digest)', 'learn ham'])
  assert.equal((await ask('POST', linkTo('ham'))).code, 410)
  assert.equal((await ask('GET', linkTo('delete'))).code, 410)
  assert.equal(done.length, 2)
  const [entry, ...others] = await audit.last(9)
  assert.deepEqual(
    [entry?.by, entry?.from, entry?.action, entry?.about, entry?.outcome, others],
    ['jane0@sluice.test (digest)', '127.0.0.1', 'release message and learn it as ham', sampleId, 'done', []],
  )
})

test('a link does what it says to the copy of its recipient, and nothing else', async (t) => {
  const { ask, done } = await open(t)
  assert.equal((await ask('POST', linkTo('block', 0))).code, 200)
  assert.equal((await ask('POST', linkTo('delete', 1))).code, 200)
  assert.equal((await ask('POST', linkTo('release', 2))).code, 200)
  assert.deepEqual(done, [
    'block win@spam.example for jane0@sluice.test jane0@sluice.test (digest)',
    'remove 0 jane0@sluice.test (digest)',
    'remove 1 jane1@sluice.test (digest)',
    'release 2 jane2@sluice.test (digest)',
  ])
})

test('a link that was changed, is too old or was made elsewhere is good for nothing', async (t) => {
  const { ask, done, time } = await open(t)
  const good = linkTo('release')
  const bad = [
    good.replace('.release.', '.delete.'),
    good.replace('.0.', '.1.'),
    good.slice(0, -1) + (good.endsWith('A') ? 'B' : 'A'),
    good.slice(0, -1),
    linkTo('release', 0, sampleAt),
    '/quarantine/x',
    `/quarantine/${'a.'.repeat(50)}`,
  ]
  for (const url of bad)
    for (const method of ['GET', 'POST'] as const) assert.equal((await ask(method, url)).code, 404, url)
  time.now += dayMs
  assert.equal((await ask('POST', good)).code, 404)
  assert.deepEqual(done, [])
})

test('a virus is not let go by a link, even one that is ours; nor is anything where the dashboard is read-only', async (t) => {
  const { ask, done } = await open(t)
  for (const action of ['release', 'ham'] as const) assert.equal((await ask('POST', linkTo(action, 1))).code, 403)
  assert.equal((await ask('POST', linkTo('block', 2))).code, 403, 'nobody to block')
  const readOnly = await open(t, { operators, readOnly: true })
  assert.equal((await readOnly.ask('GET', linkTo('release'))).code, 200)
  assert.equal((await readOnly.ask('POST', linkTo('release'))).code, 403)
  assert.deepEqual([done, readOnly.done], [[], []])
})

test('who tries many links is made to wait', async (t) => {
  const { ask, time } = await open(t)
  const codes = new Map<number, number>()
  for (let count = 0; count < 120; count += 1) {
    const { code } = await ask('GET', `/quarantine/${count}`)
    codes.set(code, (codes.get(code) ?? 0) + 1)
  }
  assert.deepEqual(
    [...codes],
    [
      [404, 100],
      [429, 20],
    ],
  )
  time.now += 600_000
  assert.equal((await ask('GET', linkTo('release'))).code, 200)
})

test('a dashboard for this host only answers readers of digests at its public name, and shows them nothing else', async (t) => {
  const { ask } = await open(t, { url: 'https://mail.example.org' })
  assert.equal((await ask('GET', linkTo('release'))).code, 200)
  assert.equal((await ask('GET', '/assets/sluice.css')).code, 200)
  for (const url of ['/', '/held', '/api/v1/held', `/messages/${sampleId}`])
    assert.equal((await ask('GET', url)).code, 421)
  assert.equal((await ask('GET', linkTo('release'), 'elsewhere.example')).code, 421)
})
