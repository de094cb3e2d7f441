import assert from 'node:assert/strict'
import { test } from 'node:test'

import { atEnd } from '../support/at-end.ts'
import { standardPipeline } from '../support/configurations.ts'
import { MailSystem } from '../support/mail-system.ts'
import { testMessage } from '../support/messages.ts'
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
