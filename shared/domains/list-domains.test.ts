import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { loadConfiguration } from '../config/load.ts'
import { openTables } from '../config/tables.ts'
import { listDomains } from './list-domains.ts'
import type { DomainList } from './list-domains.ts'

async function listed(smtpd: string, pipeline: string, files: Readonly<Record<string, string>>): Promise<DomainList> {
  const folder = await mkdtemp(join(tmpdir(), 'domains-'))
  const tables = openTables()
  try {
    for (const [name, text] of Object.entries({ 'smtpd.conf': smtpd, 'pipeline.conf': pipeline, ...files }))
      await writeFile(join(folder, name), text.replaceAll('{{folder}}', folder))
    const { configuration } = await loadConfiguration({
      smtpdConf: join(folder, 'smtpd.conf'),
      pipelineConf: join(folder, 'pipeline.conf'),
      hostname: 'mx.example.org',
    })
    return listDomains(configuration, tables)
  } finally {
    await tables.close()
    await rm(folder, { recursive: true })
  }
}

const smtpd = `table hosted file:{{folder}}/hosted
table asked "socketmap:unix:/nowhere:domains"
listen on 127.0.0.1 port 2525
action "scan" relay host "queue://filter"
action "keep" maildir "/tmp/mail/%{user.username}"
action "pass" relay host smtp://inside.example.org
action "out" relay
match tag Filtered from any for domain <hosted> action "keep"
match tag Filtered from any for domain { "branch.example.org", "*.branch.example.org" } action "pass"
match from any for domain <asked> action "keep"
match from any for domain regex ".*\\.test$" action "keep"
match from any for domain "spam.example.org" reject
match from local for domain "partner.test" action "pass"
match from any for domain { "only.scanned.test" } action "scan"
match for local action "keep"
match from auth for any action "out"
`

test('every domain that strangers mail to through us is listed with what says so, and what cannot be listed is told', async () => {
  const keys = '-----not read here-----'
  const list = await listed(
    smtpd,
    `users from any
dkim domain "example.org" selector "main" key "{{folder}}/key"
dkim domain "signed.test" selector "main" key "{{folder}}/key"
`,
    { hosted: 'example.org\nBücher.example\n', key: keys },
  )
  assert.deepEqual(
    list.domains.map(({ name, isPattern, uses, saidAt }) => [name, isPattern, uses.join(' '), saidAt.join(' ')]),
    [
      ['*.branch.example.org', true, 'relayed', 'smtpd.conf:9'],
      ['branch.example.org', false, 'relayed', 'smtpd.conf:9'],
      ['example.org', false, 'local signed', 'smtpd.conf:8'],
      ['mx.example.org', false, 'local', 'smtpd.conf:15'],
      ['signed.test', false, 'signed', ''],
      ['xn--bcher-kva.example', false, 'local', 'smtpd.conf:8'],
    ],
  )
  assert.deepEqual(
    list.unlisted.map(({ what, saidAt }) => [what, saidAt]),
    [
      ['table <asked>', 'smtpd.conf:10'],
      ['regular expressions', 'smtpd.conf:11'],
    ],
  )
  assert.equal(list.signsAll, false)
})
