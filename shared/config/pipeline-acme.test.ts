import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { ConfigurationError, loadConfiguration } from './load.ts'
import type { PipelineSettings } from './model.ts'

const folder = mkdtempSync(join(tmpdir(), 'acme-'))
after(() => rmSync(folder, { recursive: true }))
writeFileSync(join(folder, 'hook'), '')

const smtpd = [
  'pki p cert "made.crt" key "made.key"',
  'listen on lo port 25 tls pki p',
  'action "out" relay',
  'match for any action "out"',
].join('\n')

async function load(pipeline: string): Promise<PipelineSettings> {
  const paths = { smtpdConf: join(folder, 'smtpd.conf'), pipelineConf: join(folder, 'pipeline.conf') }
  writeFileSync(paths.smtpdConf, smtpd)
  writeFileSync(paths.pipelineConf, pipeline)
  return (await loadConfiguration({ ...paths, hostname: 'mail.example.org' })).configuration.pipeline
}

const begin = 'acme directory "https://ca.example/dir" email "a@b.c" domains'
const files = 'certificate "made.crt" key "made.key"'

test('a certificate that is ordered need not be there', async () => {
  const { acme } = await load(`${begin} "MX.example.org" "mail.example.org" ${files} http "[::]:80"`)
  assert.deepEqual(acme, {
    directory: 'https://ca.example/dir',
    email: 'a@b.c',
    domains: ['mx.example.org', 'mail.example.org'],
    certFile: join(folder, 'made.crt'),
    keyFile: join(folder, 'made.key'),
    challenge: { kind: 'http', host: '::', port: 80 },
  })
  const { acme: wild } = await load(`${begin} "*.example.org" ${files} dns hook "hook"`)
  assert.deepEqual(wild?.challenge, { kind: 'dns', hook: join(folder, 'hook') })
  await assert.rejects(load(''), /the certificate, .*made\.crt, is not there/)
})

const mistakes: Readonly<Record<string, RegExp>> = {
  [`acme directory "http://ca.example/" email "a@b.c" domains "x.org" ${files} http "h:80"`]: /is not a URL of https/,
  [`acme directory "https://ca.example/" email "nobody" domains "x.org" ${files} http "h:80"`]: /is no address/,
  [`${begin} "localhost" ${files} http "h:80"`]: /is not a domain that a certificate can name/,
  [`${begin} "192.0.2.1" ${files} http "h:80"`]: /is not a domain that a certificate can name/,
  [`${begin} ${files} http "h:80"`]: /"certificate" is not a domain that/,
  [`${begin} "*.x.org" ${files} http "h:80"`]: /names with a wildcard are proved by DNS only/,
  [`${begin} "x.org" ${files} http "/socket"`]: /it listens on an address and a port/,
  [`${begin} "x.org" ${files} dns hook "gone"`]: /the hook, .*gone, is not there/,
  [`${begin} "x.org" ${files}`]: /expected "http" or "dns" behind the key/,
  [`${begin} "x.org" ${files} http "h:80"\n${begin} "y.org" ${files} http "h:80"`]: /"acme" is stated already/,
}

for (const [text, expected] of Object.entries(mistakes)) {
  test(`refused: ${expected.source}: ${text.slice(0, 60)}`, async () => {
    await assert.rejects(load(text), (error: unknown) => {
      assert.ok(error instanceof ConfigurationError)
      assert.match(error.diagnostics.map(({ message }) => message).join('\n'), expected)
      return true
    })
  })
}
