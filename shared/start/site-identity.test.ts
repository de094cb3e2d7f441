import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
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
  assert.deepEqual(again, { made: [], records: first.records })
  assert.equal(text('mailboxes'), mailbox)
})
