import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { passwords, standardConf, standardPipeline } from '../support/configurations.ts'
import { startDovecot } from '../support/dovecot.ts'
import { type MailSink, startMailSink } from '../support/mail-sink.ts'
import { MailSystem } from '../support/mail-system.ts'
import { idOf } from '../support/messages.ts'
import { missingPeers } from '../support/peer.ts'
import { SmtpClient } from '../support/smtp-client.ts'

/** What seeds 0 and 2 do with Postfix: header_checks, canonical, masquerade, relocated. */
const rules = `
canonical sender { "jane@sluice.test" = "Jane.Doe@sluice.test" }
canonical recipient { "jane.doe@sluice.test" = "jane@sluice.test" } envelope
masquerade domains "!keep.sluice.test" "sluice.test"
relocated { "bob@sluice.test" = "bob@elsewhere.test" }
header match "^Received: .*ESMTPSA" ignore
header match "^(X-Originating-IP|X-Mailer|User-Agent):" ignore
header match "^X-Look:" hold "somebody has to look"
mime-header match "^X-Part:" ignore
body match "secret word" replace "(a word was here)"
body match "forbidden" reject "550 5.7.1 Not in the body"
`

describe('addresses and fields are rewritten on the way in', () => {
  let sink: MailSink
  let system: MailSystem

  before(async () => {
    sink = await startMailSink({
      protocol: 'lmtp',
      respond: ({ stage, argument }) =>
        stage === 'content' && argument.startsWith('joe') ? '552 5.2.2 Mailbox full' : undefined,
    })
    system = await MailSystem.start({
      conf: standardConf({ deliver: `lmtp "127.0.0.1:${sink.port}" rcpt-to userbase <people>` }),
      pipeline: standardPipeline(rules),
    })
  })

  after(async () => {
    await system.stop()
    await sink.stop()
  })

  async function submit(to: string, content: string): Promise<string> {
    const login = { implicitTls: true, user: 'jane', password: passwords.jane }
    const client = await SmtpClient.ready({ port: system.port('smtps'), ...login })
    const reply = await client.send({ from: 'jane@sluice.test', to: [to], content })
    await client.quit()
    return idOf(reply)
  }

  /** The event comes before the job is among the held ones. */
  async function release(id: string): Promise<void> {
    let answer = await system.ctl('release', id)
    for (let tries = 0; answer.code !== 0 && tries < 60; tries += 1) answer = await system.ctl('release', id)
    assert.equal(answer.code, 0, answer.stderr)
  }

  const fields = (id: string) => `X-Test-Id: ${id}\r\nSubject: x\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n`

  test('a submission tells nothing of where it was written, and has the addresses of the house', async () => {
    const secrets =
      'Received: from desk (10.1.2.3) with ESMTPSA; x\r\nX-Originating-IP: [10.1.2.3]\r\nX-Mailer: M\r\nUser-Agent: U\r\n'
    const addresses =
      'From: "Jane" (at home)\r\n <jane@sluice.test>\r\nTo: jane.doe@sluice.test, a@pc.sluice.test, b@x.keep.sluice.test\r\n'
    await submit('Jane.Doe@sluice.test', `${secrets}${addresses}${fields('private')}\r\nFrom: jane@sluice.test\r\n`)
    const mail = await sink.waitForMessage((one) => one.id === 'private')
    assert.equal(mail.from, 'Jane.Doe@sluice.test')
    assert.deepEqual(mail.recipients, ['jane@sluice.test'])
    const text = mail.content.toString()
    assert.doesNotMatch(text, /10\.1\.2\.3|^X-Mailer|^User-Agent|ESMTPSA/m)
    assert.match(text, /^X-Sluice-Hops: 2\r$/m)
    assert.match(text, /^From: "Jane" \(at home\)\r\n <Jane\.Doe@sluice\.test>\r$/m)
    assert.match(text, /^To: jane\.doe@sluice\.test, a@sluice\.test, b@x\.keep\.sluice\.test\r$/m)
    assert.match(text, /\r\n\r\nFrom: jane@sluice\.test\r\n$/)
  })

  test('a bounce goes to the rewritten sender', async () => {
    await submit('joe@sluice.test', `From: jane@sluice.test\r\n${fields('full')}\r\nx\r\n`)
    const report = await sink.waitForMessage((one) => one.from === '' && one.recipients.includes('jane@sluice.test'))
    assert.match(report.content.toString(), /^To: .*Jane\.Doe@sluice\.test/m)
  })

  test('who has moved is refused with the new address', async () => {
    const client = await SmtpClient.ready({ port: system.port('smtp') })
    await client.command('MAIL FROM:<x@pc.sluice.test>')
    const moved = await client.command('RCPT TO:<bob@sluice.test>')
    assert.match(moved.raw, /^550 5\.1\.6 User has moved to bob@elsewhere\.test/)
    await client.quit()
  })

  test('what rules change in parts and lines is so in the mailbox, and a forbidden word is refused', async () => {
    const part = '--b\r\nContent-Type: text/plain\r\nX-Part: 1\r\n\r\na secret word\r\nhello\r\n--b--\r\n'
    const header = `From: jane@sluice.test\r\n${fields('lines')}Content-Type: multipart/mixed; boundary=b\r\n`
    await submit('jane@sluice.test', `${header}\r\n${part}`)
    const mail = await sink.waitForMessage((one) => one.id === 'lines')
    const changed = part.replace('X-Part: 1\r\n', '').replace('a secret word', '(a word was here)')
    assert.equal(mail.content.toString().split('\r\n\r\n').slice(1).join('\r\n\r\n'), changed)
    const client = await SmtpClient.ready({ port: system.port('smtp') })
    const content = 'Subject: x\r\n\r\nThis is forbidden.\r\n'
    const refused = await client.send({ from: 'a@example.net', to: ['jane@sluice.test'], content })
    assert.equal(refused.raw, '550 5.7.1 Not in the body')
    await client.quit()
  })

  test('a message that a rule holds waits until an operator releases it', async () => {
    const id = await submit('jane@sluice.test', `From: jane@sluice.test\r\nX-Look: here\r\n${fields('held')}\r\nx\r\n`)
    await system.waitForEvent('held', id)
    assert.ok(!sink.messages.some((one) => one.id === 'held'))
    await release(id)
    await sink.waitForMessage((one) => one.id === 'held')
  })
})

test('quota status: Dovecot says at RCPT that a mailbox is full', { skip: missingPeers('dovecot') }, async (t) => {
  const dovecot = await startDovecot({
    users: { 'jane@sluice.test': 'x', 'joe@sluice.test': 'x' },
    full: ['joe@sluice.test'],
  })
  t.after(() => dovecot.stop())
  const system = await MailSystem.start({
    conf: standardConf({ deliver: `lmtp "127.0.0.1:${dovecot.lmtpPort}" rcpt-to userbase <people>` }),
    pipeline: standardPipeline(`quota status "127.0.0.1:${dovecot.quotaPort}" timeout 60s on-failure tempfail`),
  })
  t.after(() => system.stop())
  const client = await SmtpClient.ready({ port: system.port('smtp') })
  await client.command('MAIL FROM:<a@example.net> SIZE=2000')
  assert.match((await client.command('RCPT TO:<joe@sluice.test>')).raw, /^55\d 5\.2\.2 <joe@sluice\.test>: /)
  assert.match((await client.command('RCPT TO:<jane@sluice.test>')).raw, /^250 /)
  await dovecot.halt()
  assert.match((await client.command('RCPT TO:<postmaster@sluice.test>')).raw, /^451 /)
  await client.quit()
})
