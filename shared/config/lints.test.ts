import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { once } from 'node:events'
import { after, test } from 'node:test'

import { selfSignedCertificate } from '../start/self-signed.ts'
import { certificateLints } from './certificate-lints.ts'
import { ConfigurationError, loadConfiguration } from './load.ts'
import type { Configuration } from './model.ts'

const folder = mkdtempSync(join(tmpdir(), 'lints-'))
after(() => rmSync(folder, { recursive: true }))
for (const name of ['x.cert', 'x.key']) writeFileSync(join(folder, name), 'x')

async function lint(...lines: readonly string[]): Promise<readonly string[]> {
  return lintBoth(lines, ['users from any'])
}

async function lintBoth(lines: readonly string[], pipeline: readonly string[]): Promise<readonly string[]> {
  const smtpdConf = join(folder, 'smtpd.conf')
  const pipelineConf = join(folder, 'pipeline.conf')
  writeFileSync(smtpdConf, lines.join('\n'))
  writeFileSync(pipelineConf, `${pipeline.join('\n')}\n`)
  const { warnings } = await loadConfiguration({ smtpdConf, pipelineConf, hostname: 'mail.example.org' })
  return warnings.map((one) => `${one.code}@${one.span.line}`)
}

test('port 465 with tls-require is told: who begins with TLS is served, and others wait for it', async () => {
  const pki = 'pki x certificate "x.cert" key "x.key"'
  const rest = ['listen on lo port 25', 'accept for any relay']
  const listen = 'listen on lo port 465 tls-require pki x'
  assert.deepEqual(await lint(pki, listen, ...rest), ['starttls-on-smtps-port@2'])
  assert.deepEqual(await lint(pki, listen.replace('tls-require', 'smtps'), ...rest), [])
})

test('a wait for TLS from the start is told where no listener begins with it', async () => {
  const texts = [
    'pki x certificate "x.cert" key "x.key"\nlisten on lo port 465 tls-require pki x\nlisten on lo port 25\naccept for any relay',
    'client-hello wait 2s\nclient-hello on "lo:25" wait 3s\n',
  ] as const
  const [smtpdConf, pipelineConf] = [join(folder, 'smtpd.conf'), join(folder, 'pipeline.conf')]
  writeFileSync(smtpdConf, texts[0])
  writeFileSync(pipelineConf, texts[1])
  const { warnings } = await loadConfiguration({ smtpdConf, pipelineConf, hostname: 'mail.example.org' })
  assert.deepEqual(warnings.map((one) => `${one.code}@${one.span.line}`).toSorted(), [
    'no-effect@2',
    'starttls-on-smtps-port@2',
  ])
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

test('a certificate that nobody believes is named', async () => {
  const listen = 'accept for any relay'
  const { cert, key } = await selfSignedCertificate('mail.example.org')
  writeFileSync(join(folder, 'own.pem'), cert)
  writeFileSync(join(folder, 'own.key'), key)
  assert.deepEqual(await lint('pki own certificate "own.pem" key "own.key"', listen), ['certificate@1'])
  const issued = fileURLToPath(new URL('../../test/fixtures/tls/server', import.meta.url))
  assert.deepEqual(await lint(`pki m certificate "${issued}.pem" key "${issued}.key"`, listen), [])
  const pki = { name: 'x', cert: `${issued}.pem`, key: '', dhe: 'none', at: { file: 'f', line: 1, column: 1 } } as const
  const says = (text: string) =>
    certificateLints({ pkis: new Map([['x', pki]]), pipeline: {} } as unknown as Configuration, Date.parse(text)).map(
      ({ fault }) => fault.message,
    )
  assert.deepEqual(says('2200-01-01'), ['the certificate of "x" has expired (2126-10-28)'])
  assert.deepEqual(says('2126-10-25'), ['the certificate of "x" ends on 2126-10-28'])
  assert.deepEqual(says('2020-01-01'), ['the certificate of "x" does not hold yet'])
})

test('a setting that counts once and is stated twice is named, in both grammars', async () => {
  const relay = 'accept for any relay'
  assert.deepEqual(await lint('expire 1d', 'expire 2d', 'max-message-size 1M', 'max-message-size 2M', relay), [
    'duplicate@2',
    'duplicate@4',
  ])
  const modern = ['action "a" relay', 'match for any action "a"']
  assert.deepEqual(await lint('srs key "a"', 'srs key backup "b"', 'srs ttl 1d', 'queue ttl 1d', ...modern), [])
  assert.deepEqual(await lint('queue ttl 1d', ...modern, 'queue ttl 2d'), ['duplicate@4'])
  assert.deepEqual(await lint('listen on lo port 25', 'listen on lo port 25', ...modern), ['duplicate@2'])
  assert.deepEqual(await lint('listen on lo port 25', 'listen on lo inet6 port 25', ...modern), [])
})

test('passwords in clear are named where they are taken', async () => {
  const policy = (listen: string) => ['table u { a = b }', listen, 'action "a" relay', 'match for any action "a"']
  const clear = ['auth without-tls on']
  const issued = fileURLToPath(new URL('../../test/fixtures/tls/server', import.meta.url))
  const pki = `pki m cert "${issued}.pem"\npki m key "${issued}.key"\n`
  const open = `${pki}listen on eth0 port 25 tls pki m auth-optional <u>`
  assert.deepEqual(await lintBoth(policy(open), clear), ['plaintext-auth@4'])
  assert.deepEqual(await lintBoth(policy(open.replace('tls pki', 'tls-require pki')), clear), [])
  assert.deepEqual(await lintBoth(policy(open.replace('eth0', 'lo')), clear), [])
  assert.deepEqual(await lintBoth(policy(open), []), [])
})

test('nothing listens on port 25: told where there are ports for users', async () => {
  const issued = fileURLToPath(new URL('../../test/fixtures/tls/server', import.meta.url))
  const pki = [`pki m cert "${issued}.pem"`, `pki m key "${issued}.key"`]
  const policy = ['action "a" relay', 'match for any action "a"']
  const submission = 'listen on eth0 port 587 tls-require pki m auth'
  const login = ['login from { a = b }']
  assert.deepEqual(await lintBoth([...pki, submission, ...policy], login), ['incomplete@3'])
  assert.deepEqual(await lintBoth([...pki, submission, 'listen on eth0 port 25', ...policy], login), [])
  assert.deepEqual(await lintBoth(['listen on eth0 port 2525', ...policy], login), [])
})

test('old versions of TLS are named, where they are let in and where they are asked for in vain', async () => {
  const policy = ['action "a" relay protocols "TLSv1.1,TLSv1.2"', 'match for any action "a"']
  assert.deepEqual(await lintBoth(policy, []), ['no-effect@1'])
  assert.deepEqual(await lintBoth(policy, ['tls minimum TLSv1.1']), ['old-tls@1'])
  assert.deepEqual(await lintBoth([policy[0]?.replace('TLSv1.1,', '') ?? '', policy[1] ?? ''], []), [])
})

test('a table of patterns needs no postmap', async () => {
  writeFileSync(join(folder, 'access'), '/spam/ REJECT\n')
  const policy = ['table p "regexp:./access"', 'action "a" relay', 'match for any action "a"']
  assert.deepEqual(await lint(...policy), [])
  writeFileSync(join(folder, 'access.db'), '')
  assert.deepEqual(await lint(...policy), ['no-effect@1'])
})

test('a network of IPv6 as Postfix writes it is named: it matches nothing', async () => {
  const policy = ['action "a" relay', 'match for any action "a"']
  assert.deepEqual(await lint('table n { "10.0.0.0/8", "[2001:db8::]/32" }', ...policy), ['table-content@1'])
  assert.deepEqual(await lint('table n { "10.0.0.0/8", "[2001:db8::/32]", "[2001:db8::1]" }', ...policy), [])
})

test('a folder of mailboxes that no action delivers to is named', async () => {
  const policy = ['action "a" maildir', 'match for local action "a"']
  assert.deepEqual(await lintBoth(policy, ['users from any', 'mbox "/var/mail"']), ['no-effect@2'])
  const mbox = policy.map((line) => line.replace('maildir', 'mbox'))
  assert.deepEqual(await lintBoth(mbox, ['users from any', 'mbox "/var/mail"']), [])
})

test('a score that good mail reaches is named', async () => {
  const policy = ['action "a" relay', 'match for any action "a"']
  assert.deepEqual(await lintBoth(policy, ['spam junk 2.0', 'spam for tag T reject 2.9']), [
    'spam-threshold@1',
    'spam-threshold@2',
  ])
  assert.deepEqual(await lintBoth(policy, ['spam junk 3 reject 15', 'spam for tag T junk never']), [])
})

test('keys that can be broken are named', async () => {
  const policy = ['action "a" relay', 'match for any action "a"']
  assert.deepEqual(await lintBoth(policy, ['auth-results min-key-bits 768']), ['short-keys@1'])
  assert.deepEqual(await lintBoth(policy, ['auth-results min-key-bits 1024']), [])
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

test('reports that nobody here signs are told: their receivers drop them', async () => {
  const rules = ['listen on lo port 25', 'accept for any relay']
  const key = (domain: string): string => `dkim ${domain} selector "s" key "${join(folder, 'x.key')}"`
  const report = 'report dmarc from "d@mail.example.org"'
  const warned = async (...pipeline: readonly string[]) => lintBoth(rules, ['users from any', ...pipeline])
  assert.deepEqual(await warned(report), ['incomplete@2'])
  assert.deepEqual(await warned(report, key('domain "other.test"')), ['incomplete@2'])
  assert.deepEqual(await warned(report, key('domain "example.org"')), [])
  assert.deepEqual(await warned(report, key('default same-domain')), [])
  assert.deepEqual(await warned(report, key('domain "example.org"'), 'report tls from "t@other.test"'), [
    'incomplete@4',
  ])
})
