import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { once } from 'node:events'
import { after, test } from 'node:test'

import { ConfigurationError, loadConfiguration } from './load.ts'

const folder = mkdtempSync(join(tmpdir(), 'lints-'))
after(() => rmSync(folder, { recursive: true }))
for (const name of ['x.cert', 'x.key']) writeFileSync(join(folder, name), 'x')

async function lint(...lines: readonly string[]): Promise<readonly string[]> {
  const smtpdConf = join(folder, 'smtpd.conf')
  const pipelineConf = join(folder, 'pipeline.conf')
  writeFileSync(smtpdConf, lines.join('\n'))
  writeFileSync(pipelineConf, 'users from any\n')
  const { warnings } = await loadConfiguration({ smtpdConf, pipelineConf, hostname: 'mail.example.org' })
  return warnings.map((one) => `${one.code}@${one.span.line}`)
}

test('port 465 with tls-require speaks STARTTLS, which clients do not expect', async () => {
  const pki = 'pki x certificate "x.cert" key "x.key"'
  const listen = 'listen on lo port 465 tls-require pki x'
  assert.deepEqual(await lint(pki, listen, 'accept for any relay'), ['starttls-on-smtps-port@2'])
  assert.deepEqual(await lint(pki, listen.replace('tls-require', 'smtps'), 'accept for any relay'), [])
})

test('a rule order that loops is named', async () => {
  const filter = 'accept from any for any relay via "smtp://localhost:10024"'
  const tagged = 'accept tagged Filtered for local deliver to maildir "/m"'
  assert.deepEqual(await lint(filter, tagged), ['loop@1', 'unreachable@2'])
})

test('delivering mail for any domain of strangers is named, and not when another rule chose the domain', async () => {
  const deliver = 'accept tagged Filtered for any deliver to lmtp "/nowhere/lmtp"'
  const chosen = 'accept from any for domain "x.org" relay via "smtp://localhost:10024"'
  assert.deepEqual(await lint(deliver, chosen), [])
  assert.deepEqual(await lint(deliver, chosen.replace('domain "x.org"', 'any')), ['deliver-any-domain@1'])
  assert.deepEqual(await lint('accept from any for any deliver to lmtp "/nowhere/lmtp"'), ['deliver-any-domain@1'])
  const open = deliver.replace('for any', 'from any for any')
  assert.deepEqual(await lint('listen on eth0 port 2525 tag Filtered', open), ['deliver-any-domain@2'])
  assert.deepEqual(await lint('listen on lo port 2525 tag Filtered', open), [])
})

test('a socket that everybody may write to is named', async (t) => {
  const path = join(folder, 'lmtp')
  const server = createServer().listen(path)
  t.after(() => server.close())
  await once(server, 'listening')
  const rule = `accept for local deliver to lmtp "${path}"`
  chmodSync(path, 0o666)
  assert.deepEqual(await lint(rule), ['socket-mode@1'])
  chmodSync(path, 0o660)
  assert.deepEqual(await lint(rule), [])
})

test('no-break spaces of text from a web page are blanks', async () => {
  const warnings = await lint('\u{A0}accept\u{A0} for any\u{A0}relay\u{A0}', '\u{A0}', 'reject\u{A0}for local')
  assert.deepEqual(warnings, ['no-break-space@1', 'unreachable@3'])
})

test('a certificate under another ending is suggested', async () => {
  await assert.rejects(
    lint('pki x certificate "x.crt" key "x.key"', 'accept for any relay'),
    (error) =>
      error instanceof ConfigurationError &&
      error.diagnostics[0]?.code === 'missing-file' &&
      error.diagnostics[0].hint === 'there is x.cert in the same folder: did you mean that?',
  )
})

test('AUTH without TLS is refused', async () => {
  await assert.rejects(lint('listen on lo port 25 auth-optional', 'accept for any relay'), /auth needs TLS/)
})

test('a rule behind one that takes all of its mail is named, and no other', async () => {
  const relay = (conditions: string) => `accept ${conditions} relay`
  const all = relay('from any for any')
  const ours = relay('from any for domain { "x.org", "y.org" }')
  const tagged = relay('tagged Filtered from any for domain { "x.org", "y.org" }')
  assert.deepEqual(await lint(ours, all), [])
  assert.deepEqual(await lint(tagged, ours, all), [])
  assert.deepEqual(await lint(all, ours), ['unreachable@2'])
  assert.deepEqual(await lint(ours, tagged, ours), ['unreachable@2', 'unreachable@3'])
  assert.deepEqual(await lint(ours.replace('for domain', 'for ! domain'), tagged), [])
  assert.deepEqual(await lint(relay('from any sender "a@x.org" for any'), relay('from any for any')), [])
  assert.deepEqual(await lint(relay('for any'), all), [], 'what is local first, then the rest')
  assert.deepEqual(await lint(all, relay('for any')), ['unreachable@2'])
})
