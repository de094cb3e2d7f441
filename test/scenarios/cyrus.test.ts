import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { standardConf, standardPipeline } from '../support/configurations.ts'
import { type Cyrus, missingCyrus, startCyrus } from '../support/cyrus.ts'
import { MailSystem } from '../support/mail-system.ts'
import { idOf, testMessage } from '../support/messages.ts'
import { SmtpClient } from '../support/smtp-client.ts'

describe("Cyrus' LMTP", { skip: missingCyrus() }, () => {
  let cyrus: Cyrus

  before(async () => {
    // postmaster is a user of the table, and has no mailbox; bob's is too small for the message.
    cyrus = await startCyrus({ users: { jane: undefined, joe: undefined, bob: 1 } })
  })

  after(() => cyrus.stop())

  async function send(system: MailSystem, id: string, to: readonly string[]): Promise<string> {
    const client = await SmtpClient.ready({ port: system.port('smtp') })
    const content = testMessage({ id, from: 'ann@sluice.test', body: `${'x'.repeat(70)}\n`.repeat(40) })
    const reply = await client.send({ from: 'ann@sluice.test', to, content })
    await client.quit()
    return idOf(reply)
  }

  for (const [name, destination] of [
    ['TCP', () => `127.0.0.1:${cyrus.lmtpPort}`],
    ['a unix socket', () => cyrus.lmtpSocket],
  ] as const) {
    test(`by ${name}, one transaction brings each recipient his own answer: stored, no mailbox, no room`, async (t) => {
      const system = await MailSystem.start({
        conf: standardConf({ deliver: `lmtp "${destination()}" rcpt-to userbase <people>` }),
        pipeline: standardPipeline(),
      })
      t.after(() => system.stop())
      const id = await send(
        system,
        name,
        ['jane', 'joe', 'bob', 'postmaster'].map((user) => `${user}@sluice.test`),
      )
      const told = (event: string, user: string) =>
        system.waitForLog(
          (line) => line.event === event && line.id === id && line['recipient'] === `${user}@sluice.test`,
        )
      await told('delivered', 'jane')
      await told('delivered', 'joe')
      assert.match(String((await told('failed', 'postmaster'))['reply']), /^550 5\.1\.1 /)
      const full = await told('delayed', 'bob')
      assert.match(String(full['reply']), /^452 4\.2\.2 /)
      assert.equal(full['class'], 'mailbox-full')

      const [jane, joe] = await Promise.all(
        ['jane', 'joe'].map(async (user) =>
          (await cyrus.mails(user)).filter(({ text }) => text.includes(`Subject: ${name}\r\n`)),
        ),
      )
      assert.deepEqual([jane?.length, joe?.length], [1, 1])
      assert.equal(jane?.[0]?.inode, joe?.[0]?.inode, 'one transaction: Cyrus keeps one file for both')
      assert.match(jane?.[0]?.text ?? '', /^Return-Path: <ann@sluice\.test>\r\n/)
    })
  }

  test('mailbox full permanent: what it says is for later comes back at once', async (t) => {
    const system = await MailSystem.start({
      conf: standardConf({ deliver: `lmtp "${cyrus.lmtpSocket}" rcpt-to userbase <people>` }),
      pipeline: standardPipeline('mailbox full permanent'),
    })
    t.after(() => system.stop())
    const id = await send(system, 'no-room', ['bob@sluice.test'])
    assert.match(String((await system.waitForEvent('failed', id))['reply']), /^552 5\.2\.2 /)
  })

  test('it is asked who there is, and a session that it ended is no failed attempt', async (t) => {
    const system = await MailSystem.start({
      conf: standardConf({ deliver: `lmtp "${cyrus.lmtpSocket}"` }),
      pipeline: standardPipeline(),
    })
    t.after(() => system.stop())
    const client = await SmtpClient.ready({ port: system.port('smtp') })
    await client.command('MAIL FROM:<ann@sluice.test>')
    assert.match((await client.command('RCPT TO:<nobody@sluice.test>')).raw, /^550 .*5\.1\.1/)
    await client.quit()
    const first = await send(system, 'kept', ['jane@sluice.test'])
    await system.waitForEvent('delivered', first)
    await cyrus.halt()
    await cyrus.start()
    const second = await send(system, 'kept-on', ['jane@sluice.test'])
    await system.waitForEvent('delivered', second)
    assert.ok(!system.log.some((line) => line.event === 'delayed'))
  })
})
