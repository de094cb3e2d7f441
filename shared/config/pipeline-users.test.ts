import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { loadConfiguration } from './load.ts'

const folder = mkdtempSync(join(tmpdir(), 'users-'))
after(() => rmSync(folder, { recursive: true }))
writeFileSync(join(folder, 'passwd'), '')

async function load(users: string, action = 'lmtp "mail:24"') {
  const smtpdConf = join(folder, 'smtpd.conf')
  const pipelineConf = join(folder, 'pipeline.conf')
  writeFileSync(
    smtpdConf,
    `table a { joe }\ntable b { ann = eve }\naction "in" ${action}\nmatch for local action "in"\n`,
  )
  writeFileSync(pipelineConf, `${users}\n`)
  const { configuration, warnings } = await loadConfiguration({ smtpdConf, pipelineConf, hostname: 'mx.example.org' })
  const { users: read } = configuration.pipeline
  const kinds = read.kind === 'sources' ? read.sources.map(({ kind }) => kind) : [read.kind]
  return {
    kinds,
    verifies: read.kind === 'sources' && read.verifiesMailbox,
    warnings: warnings.map(({ code }) => code),
  }
}

test('users come from one source, or from several in order', async () => {
  const sound = { verifies: false, warnings: [] }
  assert.deepEqual(await load('users from lmtp'), { kinds: ['lmtp'], ...sound })
  assert.deepEqual(await load('users from any'), { kinds: ['any'], ...sound })
  assert.deepEqual(await load('users passwd "passwd"'), { kinds: ['passwd'], ...sound })
  const unverified = { verifies: false, warnings: ['backscatter'] }
  assert.deepEqual(await load('users from <a>'), { kinds: ['table'], ...unverified })
  assert.deepEqual(await load('users from <a>', 'maildir'), { kinds: ['table'], ...sound })
  assert.deepEqual(await load('users from <a>', 'lmtp "mail:24" userbase <b>'), { kinds: ['table'], ...sound })
  assert.deepEqual(await load('users from <a> <b> passwd "passwd" lmtp'), {
    kinds: ['table', 'table', 'passwd', 'lmtp'],
    ...unverified,
  })
  assert.deepEqual(await load('users from <a> verify-mailbox'), { kinds: ['table'], verifies: true, warnings: [] })
})

test('what makes no sense is told', async () => {
  for (const [users, message] of [
    ['users from', /expected a table/],
    ['users from <a> any', /"any" knows everybody/],
    ['users from any <a>', /the end of the line/],
    ['users from lmtp <a> lmtp', /"lmtp" is there twice/],
    ['users from <a> lmtp verify-mailbox', /has a mailbox/],
    ['users from verify-mailbox', /no source stands before/],
    ['users from <nobody>', /there is no table "nobody"/],
  ] as const)
    await assert.rejects(load(users), message, users)
  assert.deepEqual((await load('users from <a> verify-mailbox', 'maildir')).warnings, ['no-effect'])
})
