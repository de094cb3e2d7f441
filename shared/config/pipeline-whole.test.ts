import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { loadConfiguration } from './load.ts'

const folder = mkdtempSync(join(tmpdir(), 'whole-'))
after(() => rmSync(folder, { recursive: true }))
const at = (name: string): string => join(folder, name)
writeFileSync(at('password'), 'secret\n')
writeFileSync(at('dkim.key'), 'x')
writeFileSync(at('passwd'), 'bob:$2b$10$CwTycUXWue0Thq9StjUM0uJ8oW4i2eF4vQ1pK8o1b9o8m0z2cZ1yK::::::\n')

const smtpd = `
table operators { "ann" = "admin:$2b$10$CwTycUXWue0Thq9StjUM0uJ8oW4i2eF4vQ1pK8o1b9o8m0z2cZ1yK" }
table ours { 10.77.0.0/16 }
filter "rspamd" proc-exec "/bin/true"
listen on lo port 25 filter "rspamd"
listen on lo port 10025 tag Filtered
listen on lo port 10027 tag Signed
action "mailbox" lmtp "/var/run/dovecot/lmtp"
action "scan" relay host "smtp://localhost:10024"
action "sign" relay host "smtp://localhost:10026"
action "out" relay
match tag Filtered for local action "mailbox"
match tag Signed for any action "out"
match from any for local action "scan"
match for any action "sign"
`

/** One line for each statement of the specification. */
const statements = [
  `redis "redis://redis:6379/0" password file "${at('password')}" prefix "mail"`,
  'spool "/var/spool/mail" compression quota 10G',
  'dashboard listen "0.0.0.0:8080" auth <operators> read-only',
  'metrics listen "0.0.0.0:9100"',
  'log level info format json',
  'events keep 30d 2G',
  'replay keep 7d 20G',
  'hostname "mail.example.org"',
  'queue "filter" answers "smtp://localhost:10024" tag from "lo:10025"',
  'queue "sign" answers "smtp://localhost:10026" tag from "lo:10027"',
  'queue "filter" concurrency 4 timeout 60s attempts 8 target 30s on-failure defer',
  'queue "outbound" concurrency 50',
  'queue "deliver" concurrency 20',
  'spam engine builtin junk 5.0 discard 15.0 header "X-Spam" subject "***SPAM***"',
  'spam clean <ours> bypass',
  'virus clamd "clamav:3310" timeout 30s infected quarantine on-failure defer',
  'quarantine keep 30d',
  'received-reports keep 400d mail pass',
  `dkim domain "example.org" selector "main" key "${at('dkim.key')}" header relaxed body simple expire 21d`,
  'auth-results verify spf dkim dmarc arc',
  'users from lmtp',
  `login dovecot "dovecot:12345"`,
  'interface lo is "10.77.0.0/24"',
  'socket "/var/run/dovecot/lmtp" is "dovecot:24"',
  'filter protocol "rspamd" "0.6"',
  'filter timeout "rspamd" 20s on-failure proceed',
  'filter before-accept on "lo:25" deadline 8s',
  'resolver "10.77.0.53"',
  'tls minimum "TLSv1.2"',
  'mta-sts opportunistic',
  'trusted proxy 10.77.0.0/24',
  'trusted client 10.77.0.5',
  'trusted filter 127.0.0.1',
  'banned files default found quarantine macros tag encrypted pass unreadable pass',
  'banned for tag Signed files { "*.exe" } found reject',
  'header match "^X-Mailer:" ignore',
  'mime-header match "name=.*exe" reject',
  'nested-header match "^Received:" ignore',
  'body match "buy now" warn "spam?"',
  'mda disable',
  'forward files disable',
]

async function messagesOf(pipeline: readonly string[]): Promise<readonly string[]> {
  writeFileSync(at('smtpd.conf'), smtpd)
  writeFileSync(at('pipeline.conf'), `${pipeline.join('\n')}\n`)
  const { warnings } = await loadConfiguration({ smtpdConf: at('smtpd.conf'), pipelineConf: at('pipeline.conf') })
  return warnings.map(({ span, message }) => `${span.line}: ${message}`)
}

test('every statement of the specification is taken, together and each alone, and none is without effect', async () => {
  assert.deepEqual(await messagesOf(statements), [])
  for (const statement of statements) assert.deepEqual(await messagesOf([statement]), [], statement)
})

test('other words for the same things are taken as well', async () => {
  const others = [
    `login passwd "${at('passwd')}"`,
    `dkim default same-domain selector "main" key "${at('dkim.key')}"`,
    'external "smtp://localhost:10024" is "amavis:10024"',
  ]
  assert.match((await messagesOf(['banned limits depth 3']))[0] ?? '', /limits a search that nothing asks for/)
  for (const statement of others) assert.deepEqual(await messagesOf([statement]), [], statement)
})
