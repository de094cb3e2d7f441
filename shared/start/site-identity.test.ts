import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { isSecretOf, parseApiToken } from '../config/api-tokens.ts'
import { createPasswordVerifier } from '../crypt/verify-password.ts'
import { prepareSiteIdentity } from './site-identity.ts'

const folder = mkdtempSync(join(tmpdir(), 'identity-'))
after(() => rmSync(folder, { recursive: true }))
const text = (...names: readonly string[]): string => readFileSync(join(folder, ...names), 'utf8')
const site = { hostname: 'mail.example.org', domain: 'example.org' }

test('a site gets what it needs once; secrets are their owner’s, and passwords fit their hashes', async () => {
  const first = await prepareSiteIdentity(folder, site)
  assert.equal(first.made.length, 6)
  const mailbox = text('mailboxes')
  assert.match(mailbox, /^postmaster@example\.org:\{CRYPT\}\$6\$/)
  const verifier = createPasswordVerifier()
  const [, hash = ''] = /\{CRYPT\}([^:]+)/.exec(mailbox) ?? []
  assert.ok(await verifier.verify(text('passwords', 'postmaster@example.org').trim(), hash))
  const operator = /^admin admin:(\S+)/.exec(text('operators'))?.[1] ?? ''
  assert.ok(await verifier.verify(text('passwords', 'admin').trim(), operator))
  await verifier.close()
  assert.equal(text('redis', 'auth.conf'), `requirepass ${text('redis', 'password')}`)
  const [, name = '', secret = ''] = /^([^.]+)\.(\S+)$/m.exec(text('dovecot', 'learn-token')) ?? []
  const [, entry = ''] = /^dovecot (\S+)$/m.exec(text('tokens')) ?? []
  const known = parseApiToken(entry)
  assert.deepEqual([name, [...(known?.scopes ?? [])]], ['dovecot', ['learn']])
  assert.ok(known !== undefined && isSecretOf(known, secret))
  for (const file of ['tls/key.pem', 'operators', 'tokens', 'passwords/admin', 'redis/password'])
    assert.equal(statSync(join(folder, file)).mode & 0o077, 0, file)
  assert.match(first.records.join('\n'), /^example\.org\. IN MX 10 mail\.example\.org\.$/m)
  assert.match(first.records.join('\n'), /^sluice\._domainkey\.example\.org\. IN TXT /m)

  const again = await prepareSiteIdentity(folder, site)
  assert.deepEqual(again, { made: [], passwords: [], records: first.records })
  assert.equal(text('mailboxes'), mailbox)
})

test('passwords that were chosen are taken, and written nowhere but for Redis', async (t) => {
  const chosen = { admin: 'adas-own', mailbox: 'janes-own', redis: 'redis-own' }
  const elsewhere = mkdtempSync(join(tmpdir(), 'identity-'))
  t.after(() => rmSync(elsewhere, { recursive: true }))
  const { made, passwords } = await prepareSiteIdentity(elsewhere, site, { chosen, told: true })
  assert.deepEqual([passwords, made.filter((line) => line.includes('chosen')).length], [[], 2])
  assert.ok(!existsSync(join(elsewhere, 'passwords')))
  assert.equal(readFileSync(join(elsewhere, 'redis/password'), 'utf8'), 'redis-own\n')
  const verifier = createPasswordVerifier()
  const [, hash = ''] = /^admin admin:(\S+)/.exec(readFileSync(join(elsewhere, 'operators'), 'utf8')) ?? []
  assert.ok(await verifier.verify('adas-own', hash))
  await verifier.close()
})

test('who is told new passwords finds them in no file', async (t) => {
  const elsewhere = mkdtempSync(join(tmpdir(), 'identity-'))
  t.after(() => rmSync(elsewhere, { recursive: true }))
  const { made, passwords } = await prepareSiteIdentity(elsewhere, site, { told: true })
  assert.deepEqual(
    passwords.map(({ account }) => account),
    ['postmaster@example.org', 'admin'],
  )
  assert.ok(!existsSync(join(elsewhere, 'passwords')))
  assert.ok(made.every((line) => passwords.every(({ password }) => !line.includes(password))))
})
