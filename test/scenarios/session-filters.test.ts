import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { atEnd } from '../support/at-end.ts'
import { standardPipeline } from '../support/configurations.ts'
import { MailSystem } from '../support/mail-system.ts'
import { testMessage } from '../support/messages.ts'
import { missingPeers } from '../support/peer.ts'
import { startRspamd } from '../support/rspamd.ts'
import { SmtpClient } from '../support/smtp-client.ts'

const conf = `table people { jane, joe, bob, postmaster }
filter "no-strangers" phase mail-from match mail-from { "@refused.test" } reject "550 5.7.1 not from there"
filter "doubtful" phase mail-from match mail-from { "@doubtful.test" } junk
filter "door" chain { "no-strangers", "doubtful" }
listen on 127.0.0.1 port {{smtp}} filter "door"
action "in" maildir "{{data}}/mail/%{user.username}" junk
match from any for domain "sluice.test" action "in"
`

test('the filters of a listener decide in the session: refuse, mark as junk, let through', async (t) => {
  const system = await MailSystem.start({ conf, pipeline: standardPipeline('users from <people>') })
  atEnd(t, () => system.stop())
  const client = await SmtpClient.ready({ port: system.port('smtp') })
  const send = (from: string, id: string) =>
    client.send({ from, to: ['jane@sluice.test'], content: testMessage({ id, from, to: 'jane@sluice.test' }) })
  assert.equal((await client.command('MAIL FROM:<a@refused.test>')).code, 550)
  assert.equal((await send('a@doubtful.test', 'junk')).code, 250)
  assert.equal((await send('a@remote.test', 'clean')).code, 250)
  const [mail] = await system.maildir('jane').waitForMessages(1)
  assert.equal(mail?.field('X-Test-Id'), 'clean')
  const [junk] = await system.maildir('jane/.Junk').waitForMessages(1)
  assert.equal(junk?.field('X-Test-Id'), 'junk')
  assert.equal(junk?.field('X-Spam'), 'Yes')
})

const program = join(process.env['SLUICE_FILTERS'] ?? '/nonexistent', 'usr/libexec/opensmtpd/filter-rspamd')
const missing = existsSync(program)
  ? missingPeers('rspamd')
  : 'SLUICE_FILTERS names no folder with the unpacked package opensmtpd-filter-rspamd'
test("Debian's filter-rspamd, unmodified, has Rspamd judge before the 250", { skip: missing }, async (t) => {
  const rspamd = await startRspamd()
  atEnd(t, () => rspamd.stop())
  const system = await MailSystem.start({
    conf: `table people { jane }
filter "rspamd" proc-exec "${program} -url ${rspamd.url}"
listen on 127.0.0.1 port {{smtp}} filter "rspamd"
action "in" maildir "{{data}}/mail/%{user.username}"
match from any for domain "sluice.test" action "in"
`,
    pipeline: standardPipeline('users from <people>\nfilter protocol "rspamd" "0.6"\nfilter timeout "rspamd" 60s'),
  })
  atEnd(t, () => system.stop())
  const client = await SmtpClient.ready({ port: system.port('smtp') })
  const send = (id: string, body: string) => {
    const [from, to] = ['a@remote.test', 'jane@sluice.test']
    return client.send({ from, to: [to], content: testMessage({ id, from, to, body }) })
  }
  assert.equal((await send('spam', 'These are forbidden words.')).code, 550)
  assert.equal((await send('clean', 'See you at noon.')).code, 250)
  const [mail] = await system.maildir('jane').waitForMessages(1)
  assert.equal(mail?.field('X-Test-Id'), 'clean')
})
