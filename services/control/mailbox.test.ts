import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { createPasswordVerifier } from '../../shared/crypt/verify-password.ts'
import { runPrinting, runTrimmed } from './testing.ts'

const folder = mkdtempSync(join(tmpdir(), 'mailbox-'))
after(() => rmSync(folder, { recursive: true }))
const environment = { SLUICE_IDENTITY: folder, SMTPD_HOSTNAME: 'mail.example.org' }
const ctl = (...args: readonly string[]) => runTrimmed(args, environment)

test('a mailbox is given with a password that is told once, and fits', async () => {
  writeFileSync(join(folder, 'mailboxes'), '')
  const verifier = createPasswordVerifier()
  const isPassword = (password: string): Promise<boolean> => {
    const [, hash = ''] = /[{]CRYPT[}]([^:]+)/.exec(readFileSync(join(folder, 'mailboxes'), 'utf8')) ?? []
    return verifier.verify(password, hash)
  }
  const added = await ctl('mailbox', 'add', 'jane@example.org')
  const [address, password = ''] = added.out.split(/\s+/)
  assert.deepEqual([added.code, address, await isPassword(password)], [0, 'jane@example.org', true])
  const asked = await ctl('mailbox', 'password', 'jane@example.org', '--ask')
  assert.deepEqual(
    [asked.out, await isPassword('asked'), await isPassword(password)],
    ['jane@example.org', true, false],
  )
  assert.equal((await ctl('mailbox', 'list')).out, 'jane@example.org')
  assert.match((await ctl('mailbox', 'add', 'jane@example.org')).errors, /is there already: mailbox/)
  assert.equal((await ctl('mailbox', 'remove', 'jane@example.org')).code, 0)
  assert.deepEqual(JSON.parse((await ctl('mailbox', 'list', '--json')).out), { mailboxes: [] })
  assert.match((await runTrimmed(['mailbox', 'list'], {})).errors, /set SLUICE_IDENTITY/)
  await verifier.close()
})

test('init tells new passwords to who sits at a terminal, and to nobody else', async () => {
  const watched = await runPrinting(['init', join(folder, 'a'), 'example.org'], environment, async () => true)
  const [, password = ''] = /^ {2}admin {2}(\S{24})$/m.exec(watched.out) ?? []
  assert.equal(password.length, 24)
  const again = await runPrinting(['init', join(folder, 'a'), 'example.org'], environment, async () => true)
  assert.match(again.out, /^all is there already\n/)
  assert.doesNotMatch(again.out, /New passwords/)
  const piped = await ctl('init', join(folder, 'b'), 'example.org')
  const file = readFileSync(join(folder, 'b/passwords/admin'), 'utf8').trim()
  assert.ok(!piped.out.includes(file))
})

test('init takes passwords from files, and refuses a file that it cannot read', async () => {
  const file = join(folder, 'secret')
  writeFileSync(file, 'chosen-one\n')
  const secrets = { ...environment, ADMIN_PASSWORD_FILE: file, MAILBOX_PASSWORD_FILE: file, REDIS_PASSWORD_FILE: file }
  const made = await runTrimmed(['init', join(folder, 'c'), 'example.org'], secrets)
  assert.match(made.out, /operator "admin" of the dashboard, with the password that was chosen/)
  assert.equal(readFileSync(join(folder, 'c/redis/password'), 'utf8'), 'chosen-one\n')
  const missing = { ...environment, ADMIN_PASSWORD_FILE: join(folder, 'none') }
  const refused = await runTrimmed(['init', join(folder, 'd'), 'example.org'], missing)
  assert.equal(refused.code, 1)
  assert.match(refused.errors, /^sluicectl: ADMIN_PASSWORD_FILE: /)
  writeFileSync(file, 'two words\n')
  assert.match((await runTrimmed(['init', join(folder, 'd'), 'example.org'], secrets)).errors, /one word on one line/)
})
