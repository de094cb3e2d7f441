import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { ConfigurationError, loadConfiguration } from './load.ts'
import type { LoginSetting, PipelineSettings } from './model.ts'

const folder = mkdtempSync(join(tmpdir(), 'login-'))
after(() => rmSync(folder, { recursive: true }))
writeFileSync(join(folder, 'secret'), 'x\n')

const smtpd = [
  'table users { "jane" = "x" }',
  'pki p cert "secret" key "secret"',
  'listen on lo port 25 tls pki p auth',
  'action "out" relay',
  'match for any action "out"',
].join('\n')

async function load(...lines: readonly string[]): Promise<PipelineSettings> {
  const paths = { smtpdConf: join(folder, 'smtpd.conf'), pipelineConf: join(folder, 'pipeline.conf') }
  writeFileSync(paths.smtpdConf, smtpd)
  writeFileSync(paths.pipelineConf, lines.join('\n'))
  return (await loadConfiguration({ ...paths, hostname: 'mail.example.org' })).configuration.pipeline
}

test('back ends stand in the order they are asked', async () => {
  const { login } = await load(
    'login from <users>, dovecot "/run/auth", dovecot "[::1]:12345", http "https://a.org/x" secret file "secret" timeout 5s',
  )
  assert.deepEqual(login.map(shown), [
    'users',
    { kind: 'dovecot', place: { kind: 'unix', path: '/run/auth' } },
    { kind: 'dovecot', place: { kind: 'tcp', host: '::1', port: 12345 } },
    { kind: 'http', url: 'https://a.org/x', secretFile: join(folder, 'secret'), timeoutMs: 5_000 },
  ])
})

test('a server of tokens has its defaults, and each word of its own', async () => {
  const one = await load('login oauth introspect "https://a.org/i"', 'auth mechanisms oauthbearer')
  const oauth = { kind: 'oauth', introspectUrl: 'https://a.org/i', userField: 'username', timeoutMs: 10_000 } as const
  assert.deepEqual(one.login, [oauth])
  assert.deepEqual(one.auth, { mechanisms: ['OAUTHBEARER'], withoutTls: false })
  const all = await load(
    'login oauth introspect "https://a.org/i" client "me" secret file "secret" user field "email" scope "mail" timeout 9s',
    'auth mechanisms oauthbearer, xoauth2',
    'auth without-tls on',
  )
  const client = { id: 'me', secretFile: join(folder, 'secret') }
  assert.deepEqual(all.login, [{ ...oauth, client, userField: 'email', scope: 'mail', timeoutMs: 9_000 }])
  assert.deepEqual(all.auth, { mechanisms: ['OAUTHBEARER', 'XOAUTH2'], withoutTls: true })
})

const mistakes: Readonly<Record<string, RegExp>> = {
  'login from <users>,': /expected "from" or "passwd", "dovecot", "http" or "oauth" here/,
  'login dovecot "auth"': /is no place of the auth service of Dovecot/,
  'login http "ftp://a.org"': /is not a URL of http/,
  'login http "https://me:secret@a.org"': /a URL holds no password here/,
  'login http "https://a.org" timeout 10m': /the time limit is from 1s to 120s/,
  'login http "https://a.org" secret file "gone"': /gone/,
  'login oauth "https://a.org"': /expected "introspect" behind "oauth"/,
  'login from <users>\nlogin from <users>': /"login" is stated already/,
  'auth mechanisms anonymous': /a mechanism: plain, login/,
  'auth mechanisms': /a mechanism: plain, login/,
  'auth mechanisms plain plain': /"plain" stands there twice/,
  'auth mechanisms plain\nauth mechanisms login': /"auth mechanisms" is stated already/,
  'auth without-tls maybe': /"on" or "off"/,
  'auth always': /expected "mechanisms" or "without-tls" behind "auth"/,
  'login from <users>\nauth mechanisms plain xoauth2': /xoauth2 needs `login oauth` or `dovecot`/,
  'login oauth introspect "https://a.org"': /plain needs `login from <table>` or `dovecot` or `http`/,
}

for (const [text, expected] of Object.entries(mistakes)) {
  test(`refused: ${text.replaceAll('\n', ' / ')}`, async () => {
    await assert.rejects(load(text), (error: unknown) => {
      assert.ok(error instanceof ConfigurationError)
      assert.match(error.diagnostics.map(({ message }) => message).join('\n'), expected)
      return true
    })
  })
}

function shown(setting: LoginSetting): LoginSetting | string {
  return setting.kind === 'table' ? setting.table.name : setting
}
