import assert from 'node:assert/strict'
import { test } from 'node:test'

import { atEnd } from '../support/at-end.ts'
import { standardConf, standardPipeline } from '../support/configurations.ts'
import { startDovecot } from '../support/dovecot.ts'
import { startMailSink } from '../support/mail-sink.ts'
import { MailSystem } from '../support/mail-system.ts'
import { idOf, testMessage } from '../support/messages.ts'
import { missingPeers } from '../support/peer.ts'
import { SmtpClient } from '../support/smtp-client.ts'

async function send(system: MailSystem, id: string, to: readonly string[]): Promise<string> {
  const client = await SmtpClient.ready({ port: system.port('smtp') })
  const reply = await client.send({
    from: 'bob@sluice.test',
    to,
    content: testMessage({ id, from: 'bob@sluice.test' }),
  })
  await client.quit()
  return idOf(reply)
}

test(
  'mail is in the Dovecot mailbox of each recipient, by TCP and by socket',
  {
    skip: missingPeers('dovecot'),
  },
  async (t) => {
    const dovecot = await startDovecot({ users: { jane: 'x', joe: 'x' } })
    atEnd(t, () => dovecot.stop())
    for (const [count, destination] of [`127.0.0.1:${dovecot.lmtpPort}`, dovecot.lmtpSocket].entries()) {
      const system = await MailSystem.start({
        conf: standardConf({ deliver: `lmtp "${destination}" userbase <people>` }),
        pipeline: standardPipeline(),
      })
      await send(system, `dovecot-${count}`, ['jane@sluice.test', 'joe@sluice.test'])
      for (const user of ['jane', 'joe']) {
        const mails = await dovecot.maildir(user).waitForMessages(count + 1)
        const mail = mails.find((one) => one.field('X-Test-Id') === `dovecot-${count}`)
        assert.match(mail?.field('Authentication-Results') ?? '', /^mx\.sluice\.test/)
      }
      await system.stop()
    }
  },
)

test('who has no mailbox at Dovecot is refused at RCPT', { skip: missingPeers('dovecot') }, async (t) => {
  const dovecot = await startDovecot({ users: { jane: 'x', joe: 'x' } })
  atEnd(t, () => dovecot.stop())
  const system = await MailSystem.start({
    conf: standardConf({ deliver: `lmtp "${dovecot.lmtpSocket}"` }),
    pipeline: standardPipeline(),
  })
  atEnd(t, () => system.stop())
  const client = await SmtpClient.ready({ port: system.port('smtp') })
  await client.command('MAIL FROM:<bob@sluice.test>')
  const nobody = await client.command('RCPT TO:<nobody@sluice.test>')
  assert.match(`${nobody.code} ${nobody.lines.join(' ')}`, /^550 .*5\.1\.1 Invalid recipient: <nobody@sluice\.test>/)
  assert.equal((await client.command('RCPT TO:<jane+lists@sluice.test>')).code, 250)
  await dovecot.halt()
  assert.equal((await client.command('RCPT TO:<nobody@sluice.test>')).code, 550)
  assert.equal((await client.command('RCPT TO:<joe@sluice.test>')).code, 250)
  await client.quit()
})

test('Dovecot that is away gets the mail when it is back', { skip: missingPeers('dovecot') }, async (t) => {
  const dovecot = await startDovecot({ users: { jane: 'x' } })
  atEnd(t, () => dovecot.stop())
  const system = await MailSystem.start({
    conf: standardConf({ deliver: `lmtp "127.0.0.1:${dovecot.lmtpPort}" userbase <people>` }),
    pipeline: standardPipeline(),
  })
  atEnd(t, () => system.stop())
  await dovecot.halt()
  const id = await send(system, 'late', ['jane@sluice.test'])
  await system.waitForEvent('delayed', id)
  await dovecot.start()
  assert.equal((await system.ctl('schedule', id)).code, 0)
  await dovecot.maildir('jane').waitForMessages(1)
  assert.equal((await dovecot.maildir('jane').messages()).length, 1)
})

test(
  'a full mailbox at Dovecot comes back at once, or waits for room where `mailbox full temporary` says so',
  { skip: missingPeers('dovecot') },
  async (t) => {
    const dovecot = await startDovecot({ users: { jane: 'x' }, full: ['jane'] })
    atEnd(t, () => dovecot.stop())
    const sends = async (pipeline: string, event: 'failed' | 'delayed'): Promise<string> => {
      const system = await MailSystem.start({
        conf: standardConf({ deliver: `lmtp "${dovecot.lmtpSocket}" userbase <people>` }),
        pipeline: standardPipeline(pipeline),
      })
      atEnd(t, () => system.stop())
      const id = await send(system, event, ['jane@sluice.test'])
      return String((await system.waitForEvent(event, id))['reply'])
    }
    assert.match(await sends('', 'failed'), /^552 5\.2\.2 .*quota/i)
    assert.match(await sends('mailbox full temporary', 'delayed'), /^452 4\.2\.2 .*quota/i)
  },
)

test('LMTP answers for each recipient: one has it, one waits, one is reported', async (t) => {
  let full = true
  const sink = await startMailSink({
    protocol: 'lmtp',
    respond: (event) => {
      if (event.stage !== 'content') return undefined
      if (event.argument.startsWith('joe')) return '552 5.2.2 Mailbox full'
      return event.argument.startsWith('postmaster') && full ? '452 4.2.2 Mailbox full for now' : undefined
    },
  })
  atEnd(t, () => sink.stop())
  const system = await MailSystem.start({
    conf: standardConf({ deliver: `lmtp "127.0.0.1:${sink.port}" rcpt-to userbase <people>` }),
    pipeline: standardPipeline(),
  })
  atEnd(t, () => system.stop())
  const id = await send(system, 'three', ['jane@sluice.test', 'joe@sluice.test', 'postmaster@sluice.test'])

  await Promise.all([
    system.waitForEvent('delivered', id),
    system.waitForEvent('failed', id),
    system.waitForEvent('delayed', id),
  ])
  const report = await sink.waitForMessage((one) => one.from === '' && one.recipients.includes('bob@sluice.test'))
  assert.match(report.content.toString(), /Final-Recipient: rfc822; ?joe@sluice\.test/i)
  assert.match(report.content.toString(), /Status: 5\.2\.2/)
  assert.doesNotMatch(report.content.toString(), /Final-Recipient: rfc822; ?(jane|postmaster)/i)

  full = false
  assert.equal((await system.ctl('schedule', id)).code, 0)
  await sink.waitForMessage((one) => one.id === 'three' && one.recipients.includes('postmaster@sluice.test'))
  const copies = sink.messages.filter((one) => one.id === 'three').flatMap((one) => one.recipients)
  assert.deepEqual(copies.toSorted(), ['jane@sluice.test', 'postmaster@sluice.test'])
})
