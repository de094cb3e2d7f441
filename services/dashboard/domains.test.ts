import assert from 'node:assert/strict'
import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { makeToken } from '../../shared/config/api-tokens.ts'
import type { Scope } from '../../shared/config/api-tokens.ts'
import { loadConfiguration } from '../../shared/config/load.ts'
import { openTables } from '../../shared/config/tables.ts'
import { shaCrypt } from '../../shared/crypt/sha-crypt.ts'
import { generateKey } from '../../shared/dkim/generate-key.ts'
import { neededMs, readSuccessors, writeSuccessors } from '../../shared/dkim/successors.ts'
import type { Examination } from '../../shared/doctor/examination.ts'
import { openExaminations } from '../../shared/domains/examinations.ts'
import { createDomainDesk } from './domain-desk.ts'
import { sampleAt } from './sample-source.ts'
import { openTestApp, TestBrowser } from './testing.ts'

const hash = (password: string): string => shaCrypt(password, '$6$rounds=1000$abcdefgh')
const operators = { olga: hash('engine'), rita: `reader:${hash('glass')}`, ada: `admin:${hash('notes')}` }
const hostile = `<img src=x onerror="hacked()">`

const smtpd = `table asked "socketmap:unix:/nowhere:domains"
listen on 127.0.0.1 port 2525
action "keep" maildir "/tmp/mail/%{user.username}"
match from any for domain { "example.org", "*.example.org" } action "keep"
match from any for domain <asked> action "keep"
`

const found: Examination = {
  findings: [
    {
      check: 'mx',
      verdict: 'wrong',
      text: `mail goes to ${hostile}`,
      publish: 'example.org. IN MX 10 mx.example.org.',
    },
    { check: 'spf', verdict: 'good', text: 'SPF lets 192.0.2.1 send' },
  ],
  publications: [{ name: 'main._domainkey.example.org', kind: 'another' }],
  addresses: ['192.0.2.1'],
}

/** A dashboard of a configuration with a key on disk; `examine` stands for the world. */
async function open(
  t: TestContext,
  examine: () => Promise<Examination> = async () => found,
  { scopes = ['read'], readOnly = false }: { readonly scopes?: readonly Scope[]; readonly readOnly?: boolean } = {},
) {
  const folder = await mkdtemp(join(tmpdir(), 'domains-page-'))
  const keyFile = join(folder, 'keys', 'main.key')
  const [smtpdConf, pipelineConf] = [join(folder, 'smtpd.conf'), join(folder, 'pipeline.conf')]
  await generateKey(keyFile, 'ed25519')
  await writeFile(smtpdConf, smtpd)
  await writeFile(pipelineConf, `users from any\ndkim domain "example.org" selector "main" key "${keyFile}"\n`)
  const { configuration } = await loadConfiguration({ smtpdConf, pipelineConf, hostname: 'mx.example.org' })
  const tables = openTables()
  const clock = { now: () => sampleAt }
  const examinations = openExaminations({ dataFolder: folder, clock, examine })
  t.after(async () => {
    await examinations.close()
    await tables.close()
    await rm(folder, { recursive: true })
  })
  const domains = createDomainDesk({ configuration, tables, examinations, dataFolder: folder, clock })
  const { token, entry } = makeToken('ci', scopes)
  const { app, audit } = await openTestApp(t, { domains, operators, readOnly, apiTokens: { ci: entry } })
  const signedIn = async (name: string, password: string): Promise<TestBrowser> => {
    const browser = new TestBrowser(app)
    assert.equal((await browser.signIn(name, password)).statusCode, 303)
    return browser
  }
  const ask = async (path: string) => {
    const { body, statusCode } = await app.inject({ url: path, headers: { authorization: `Bearer ${token}` } })
    return { statusCode, answer: JSON.parse(body) as Record<string, unknown> }
  }
  const post = async (path: string, payload: object = {}) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
    const { body, statusCode } = await app.inject({ method: 'POST', url: `/api/v1/domains/${path}`, headers, payload })
    return { statusCode, answer: JSON.parse(body) as Record<string, unknown> }
  }
  const key = { domain: 'example.org', selector: 'main', keyFile }
  return { folder, key, audit, signedIn, ask, post }
}

test('domains are listed with what names them, and what cannot be listed is told; none is looked at unasked', async (t) => {
  let looks = 0
  const { signedIn, ask } = await open(t, async () => {
    looks += 1
    return found
  })
  const rita = await signedIn('rita', 'glass')
  const { body } = await rita.get('/domains')
  assert.match(
    body,
    /<code>\*\.example\.org<\/code>[^]*href="\/domains\/example\.org"[^]*mailboxes here, signed[^]*smtpd\.conf:4/,
  )
  assert.match(body, /never checked[^]*Not in this list[^]*table &lt;asked&gt;[^]*smtpd\.conf:5/)
  const page = (await rita.get('/domains/example.org')).body
  assert.match(page, /Nobody has looked yet/)
  assert.doesNotMatch(page, /Check now|Rotate main/)
  for (const missing of ['/domains/example.net', '/domains/*.example.org', '/domains/%2e%2e%2fkeys'])
    assert.equal((await rita.get(missing)).statusCode, 404, missing)
  assert.equal(looks, 0)
  const { answer } = await ask('/api/v1/domains')
  assert.deepEqual(
    (answer['domains'] as { readonly name: string }[]).map(({ name }) => name),
    ['*.example.org', 'example.org'],
  )
  assert.equal((await ask('/api/v1/domains/example.net')).statusCode, 404)
})

test('an operator has a domain checked: what is wrong stands there with the line to publish, and stays', async (t) => {
  const { signedIn, ask, audit } = await open(t)
  const olga = await signedIn('olga', 'engine')
  const reply = await olga.send('/domains/example.org', '/domains/example.org/check')
  assert.deepEqual([reply.statusCode, reply.headers.location], [303, '/domains/example.org?done=check'])
  const { body } = await olga.get('/domains/example.org')
  assert.match(body, /data-tone="bad">wrong<[^]*mail goes to &lt;img[^]*to publish: <code>example\.org\. IN MX 10 mx/)
  assert.match(body, /<h3>MX <span class="badge" data-tone="bad">wrong/)
  assert.match(body, /mx\.example\.org\. IN A 192\.0\.2\.1/)
  assert.match(body, /data-tone="bad">another key/)
  assert.doesNotMatch(body, /<img/)
  assert.match((await olga.get('/domains')).body, /1 wrong/)
  const { answer } = await ask('/api/v1/domains/example.org')
  assert.deepEqual((answer['last'] as Examination).findings, found.findings)
  const [entry] = await audit.last(1)
  assert.deepEqual(
    [entry?.action, entry?.about, entry?.detail],
    ['check domain', 'example.org', '1 of 2 findings are wrong'],
  )
})

test('a check that fails is told to who asked for it', async (t) => {
  const { signedIn } = await open(t, async () => {
    throw new Error('the domain was not looked at within 90 s')
  })
  const olga = await signedIn('olga', 'engine')
  const reply = await olga.send('/domains/example.org', '/domains/example.org/check')
  assert.equal(reply.statusCode, 409)
  assert.match(reply.body, /not looked at within 90 s/)
})

test('an admin rotates, makes and retires keys; an operator is refused', async (t) => {
  const { folder, key, signedIn, audit } = await open(t)
  const [page, ada, olga] = ['/domains/example.org', await signedIn('ada', 'notes'), await signedIn('olga', 'engine')]
  for (const what of ['rotate', 'generate', 'retire'])
    assert.equal((await olga.send(page, `${page}/${what}`, { selector: 'main' })).statusCode, 403, what)
  assert.deepEqual(await readSuccessors(key), [])

  assert.match((await ada.get(page)).body, /A rotation makes the key <strong>main-20261121<\/strong>/)
  assert.equal((await ada.send(page, `${page}/rotate`, { selector: 'main' })).statusCode, 303)
  const [made] = await readSuccessors(key)
  assert.equal(made?.selector, 'main-20261121')
  assert.match((await ada.get(page)).body, /main-20261121 waits for its record[^]*/)
  assert.match((await ada.get(page)).body, /DKIM main-20261121[^]*main-20261121\._domainkey\.example\.org\. IN TXT/)

  assert.equal((await ada.send(page, `${page}/retire`, { selector: 'main-20261121' })).statusCode, 409)
  const longAgo = sampleAt - neededMs(4 * 86_400_000) - 1
  const next = { selector: 'next', keyFile: `${key.keyFile}.example.org.next`, madeAt: longAgo, visibleAt: longAgo }
  await generateKey(next.keyFile, 'ed25519')
  await writeSuccessors(key, [{ ...made, visibleAt: longAgo }, next])
  assert.match((await ada.get(page)).body, /no longer[^]*value="main-20261121"><button>Retire/)
  assert.equal((await ada.send(page, `${page}/retire`, { selector: 'main-20261121' })).statusCode, 303)
  assert.deepEqual((await readdir(join(folder, 'keys'))).toSorted(), [
    'main.key',
    'main.key.example.org.next',
    'main.key.example.org.successors',
  ])

  assert.equal((await ada.send(page, `${page}/generate`, { selector: '../x' })).statusCode, 409)
  assert.equal((await ada.send(page, `${page}/generate`, { selector: 'extra', type: 'ed25519' })).statusCode, 303)
  assert.match(
    (await ada.get(page)).body,
    /New key extra[^]*dkim domain &quot;example\.org&quot; selector &quot;extra&quot;/,
  )
  const [last] = await audit.last(1)
  assert.deepEqual([last?.by, last?.action, last?.outcome], ['ada', 'make DKIM key', 'done'])
})

test('a program with a token for keys makes, rotates and retires them, and is told what to publish', async (t) => {
  const { key, folder, post, audit } = await open(t, undefined, { scopes: ['keys'] })
  const { statusCode, answer } = await post('example.org/rotate', { newSelector: 'Winter', type: 'rsa' })
  assert.equal(statusCode, 200)
  const [made] = await readSuccessors(key)
  assert.deepEqual([made?.selector, answer['selector']], ['winter', 'winter'])
  const record = answer['record'] as { readonly name: string; readonly value: string; readonly zoneLine: string }
  assert.equal(record.name, 'winter._domainkey.example.org')
  assert.match(record.value, /^v=DKIM1; k=rsa; p=[\w+/]+=*$/)
  assert.match(String(answer['done']), /^the key "winter" is made, and signs as soon as its record is in the DNS/)
  const again = await post('example.org/rotate')
  assert.match(String(again.answer['done']), /^the key "winter" was made before/)
  assert.deepEqual(again.answer['record'], record)

  const fresh = await post('EXAMPLE.org/generate', { selector: 'extra', type: 'ed25519' })
  const file = join(folder, 'dkim', 'example.org.extra.key')
  assert.equal(fresh.answer['line'], `dkim domain "example.org" selector "extra" key "${file}"`)
  assert.match(
    (fresh.answer['record'] as typeof record).zoneLine,
    /^extra\._domainkey\.example\.org\. IN TXT "v=DKIM1; k=ed25519; p=/,
  )
  assert.deepEqual(
    (await audit.last(1)).map(({ by, action, about, outcome }) => [by, action, about, outcome]),
    [['token ci', 'make DKIM key', 'example.org', 'done']],
  )

  const longAgo = sampleAt - neededMs(4 * 86_400_000) - 1
  const next = { selector: 'next', keyFile: `${key.keyFile}.example.org.next`, madeAt: longAgo, visibleAt: longAgo }
  await generateKey(next.keyFile, 'ed25519')
  assert.ok(made)
  await writeSuccessors(key, [{ ...made, visibleAt: longAgo }, next])
  const retired = await post('example.org/retire', { selector: 'winter' })
  assert.deepEqual(retired.answer, { done: 'the key "winter" is removed; its record may go, too' })
  assert.deepEqual(
    (await readSuccessors(key)).map(({ selector }) => selector),
    ['next'],
  )

  for (const [path, payload, code, error] of [
    ['example.org/rotate', { newSelector: '../x' }, 409, /is not a selector/],
    ['example.org/rotate', { newSelector: 'b', type: 'dsa' }, 409, /'dsa' is not a kind of key/],
    [
      'example.org/rotate',
      { key: '/etc/passwd' },
      400,
      /'key' is not known here; there are: selector, newSelector, type/,
    ],
    ['example.org/retire', {}, 409, /it needs `selector`/],
    ['example.org/retire', { selector: 'main' }, 409, /pipeline\.conf names the key "main"/],
    ['example.org/generate', { selector: 'extra' }, 409, /is there already: a key is never replaced/],
    ['example.net/generate', {}, 409, /does not name the domain example\.net/],
  ] as const) {
    const refused = await post(path, payload)
    assert.equal(refused.statusCode, code, path)
    assert.match(String(refused.answer['error']), error)
  }
  assert.equal((await audit.last(1))[0]?.outcome, 'refused')
})

test('keys are out of reach of tokens for other things, and of a read-only dashboard', async (t) => {
  const others = ['read', 'queues', 'messages', 'audit', 'learn', 'content'] as const
  for (const given of [{ scopes: others }, { scopes: ['keys'] as const, readOnly: true }]) {
    const { key, post } = await open(t, undefined, given)
    for (const what of ['rotate', 'generate', 'retire'])
      assert.equal((await post(`example.org/${what}`, { selector: 'main' })).statusCode, 403, what)
    assert.deepEqual(await readSuccessors(key), [])
  }
})

test('a program has a domain checked, with a token for queues', async (t) => {
  const { post, audit } = await open(t, undefined, { scopes: ['queues'] })
  assert.deepEqual((await post('example.org/check')).answer, { done: '1 of 2 findings are wrong' })
  assert.deepEqual((await audit.last(1))[0]?.by, 'token ci')
  assert.equal((await post('example.net/check')).statusCode, 409)
})

test('a key that cannot be read, or whose folder cannot be written to, is told with the command to type', async (t) => {
  const { key, folder, signedIn } = await open(t)
  const ada = await signedIn('ada', 'notes')
  if (process.getuid?.() !== 0) {
    await chmod(join(folder, 'keys'), 0o500)
    assert.match((await ada.get('/domains/example.org')).body, /Type <code>sluicectl dkim rotate example\.org main/)
    await chmod(join(folder, 'keys'), 0o700)
  }
  await rm(key.keyFile)
  const { body, statusCode } = await ada.get('/domains/example.org')
  assert.equal(statusCode, 200)
  assert.match(body, /A key cannot be read\.<\/strong> cannot use .*main\.key: ENOENT/)
})
