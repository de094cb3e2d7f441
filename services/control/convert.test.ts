import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { runTrimmed } from './testing.ts'

const folder = mkdtempSync(join(tmpdir(), 'convert-'))
after(() => rmSync(folder, { recursive: true }))
const old = join(folder, 'old.conf')
writeFileSync(
  old,
  [
    '# ours',
    'listen on 127.0.0.1 port 2525',
    'accept tagged Filtered for any deliver to lmtp "/run/lmtp"',
    'accept from any for domain "x.org" relay via "smtp://localhost:10024"',
    'accept for any relay',
  ].join('\n'),
)

const control = (...args: readonly string[]) => runTrimmed(args, { SMTPD_HOSTNAME: 'mail.x.org' })

test('convert prints the file in the modern grammar, and check takes both', async () => {
  const converted = await control('convert', old)
  assert.deepEqual([converted.code, converted.errors], [0, ''])
  assert.match(converted.out, /^# ours\nlisten on 127\.0\.0\.1 port 2525\naction "deliver" lmtp "\/run\/lmtp"\n/)
  const modern = join(folder, 'modern.conf')
  writeFileSync(modern, `${converted.out}\n`)
  for (const file of [old, modern]) {
    const checked = await control('check', file, '-d', folder)
    assert.equal(checked.code, 0, checked.errors)
  }
  assert.equal((await control('convert', modern)).code, 78)
  assert.equal((await control('convert', join(folder, 'nothing'))).code, 78)
})

test('explain follows a recipient through both queues of an old file', async () => {
  const { code, out } = await control(
    'explain',
    'joe@x.org',
    '-f',
    old,
    '-d',
    folder,
    '--src',
    '192.0.2.1',
    '--helo',
    'h',
  )
  assert.equal(code, 0)
  assert.match(out, /from 192\.0\.2\.1, no tag/)
  assert.match(out, /action "relay via 'smtp:\/\/localhost:10024'": queue "filter", comes back with tag Filtered/)
  assert.match(out, /action "deliver to lmtp '\/run\/lmtp'": delivered here/)
  const sent = await control('explain', 'bob@far.org', '-f', old, '-d', folder, '--src', '192.0.2.1', '--auth', 'joe')
  assert.match(sent.out, /action "relay": relayed to far\.org/)
  const named = await control('explain', '--rcpt', 'joe@x.org', '-f', old, '-d', folder, '--src', '192.0.2.1')
  assert.match(named.out, /^joe@x\.org, from 192\.0\.2\.1/)
  assert.equal((await control('explain', '-f', old, '-d', folder)).code, 2)
  assert.equal((await control('explain', 'a@x.org', '--rcpt', 'b@x.org', '-f', old, '-d', folder)).code, 2)
})

test('explain asks the restrictions of the listener first', async () => {
  const restricted = join(folder, 'restricted.conf')
  writeFileSync(
    restricted,
    'restrict helo reject helo invalid\nrestrict mail reject "554 5.7.1 No" when sender "a@b.org"\n',
  )
  const asked = ['explain', 'joe@x.org', '-f', old, '-p', restricted, '-d', folder, '--src', '192.0.2.1', '--helo', 'h']
  const refused = await control(...asked, '--from', 'a@b.org')
  assert.match(
    refused.out,
    /restricted\.conf:2: .*\n {4}refuses: 554 5\.7\.1 No\n {2}=> refused: 554 5\.7\.1 No\njoe@x\.org, from/,
  )
  assert.match((await control(...asked, '--from', 'c@b.org')).out, /=> not refused\n/)
  const { restrictions } = JSON.parse((await control(...asked, '--from', 'a@b.org', '--json')).out) as {
    readonly restrictions: { readonly refusal: object }
  }
  assert.deepEqual(restrictions.refusal, { code: 554, enhanced: '5.7.1', text: 'No' })
  const elsewhere = await control(...asked, '--on', '127.0.0.1:25')
  assert.deepEqual([elsewhere.code, elsewhere.errors.includes('127.0.0.1:2525')], [2, true])
})
