import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { passwords, standardConf, standardPipeline } from '../support/configurations.ts'
import { type MailSink, type SinkEvent, startMailSink } from '../support/mail-sink.ts'
import { MailSystem } from '../support/mail-system.ts'
import { idOf, testMessage } from '../support/messages.ts'
import { SmtpClient } from '../support/smtp-client.ts'

/** The next hop's mood by recipient. */
function moods(event: SinkEvent): string | undefined {
  if (event.stage === 'rcpt' && event.argument === 'later@elsewhere.test' && event.count === 1) return '450 4.2.1 Later'
  if (event.stage === 'rcpt' && event.argument.startsWith('never')) return '550 5.1.1 No such user here'
  if (event.stage === 'content' && event.argument.startsWith('drop') && event.count === 1) return 'drop'
  return undefined
}

describe('retries and reports', () => {
  let sink: MailSink
  let system: MailSystem

  before(async () => {
    sink = await startMailSink({ respond: moods })
    system = await MailSystem.start({
      conf: standardConf({ remote: `relay host "smtp://127.0.0.1:${sink.port}"` }),
      pipeline: standardPipeline(),
    })
  })

  after(async () => {
    await system.stop()
    await sink.stop()
  })

  async function submit(id: string, to: string, from = 'jane@sluice.test', parameters = '') {
    const client = await SmtpClient.ready({
      port: system.port('submission'),
      starttls: true,
      user: 'jane',
      password: passwords.jane,
    })
    const reply = await client.send({ from, to: [to], content: testMessage({ id, from, to }), parameters })
    await client.quit()
    return idOf(reply)
  }

  test('a 4xx is tried again, and arrives once', async () => {
    const id = await submit('later', 'later@elsewhere.test')
    const delayed = await system.waitForEvent('delayed', id)
    assert.match(String(delayed['reply']), /^450 4\.2\.1 Later/)
    assert.ok(Number(delayed['nextAt']) > Date.now())
    assert.equal((await system.ctl('schedule', id)).code, 0)
    await sink.waitForMessage((one) => one.id === 'later')
    await system.waitForEvent('relayed', id)
    assert.equal(sink.copies.get('later'), 1)
  })

  test('a connection lost after the data is a retry too', async () => {
    const id = await submit('drop', 'drop@elsewhere.test')
    await system.waitForEvent('delayed', id)
    assert.equal((await system.ctl('schedule', id)).code, 0)
    await sink.waitForMessage((one) => one.id === 'drop')
  })

  test('a 5xx comes back to the sender as a delivery report', async () => {
    const id = await submit('never', 'never@elsewhere.test', 'jane@sluice.test', ' ENVID=QQ314159 RET=HDRS')
    await system.waitForEvent('failed', id)
    const mails = await system.maildir('jane').waitForMessages(1)
    const report = mails.find((mail) => mail.text.includes('never@elsewhere.test'))
    assert.ok(report !== undefined)
    assert.match(report.field('Content-Type') ?? '', /^multipart\/report;.*report-type="?delivery-status/)
    assert.equal(report.field('Return-Path') ?? '<>', '<>')
    assert.match(report.field('Auto-Submitted') ?? '', /^auto-replied/)
    for (const line of [
      /^Reporting-MTA: dns; ?mx\.sluice\.test$/im,
      /^Original-Envelope-Id: QQ314159$/im,
      /^Final-Recipient: rfc822; ?never@elsewhere\.test$/im,
      /^Action: failed$/im,
      /^Status: 5\.1\.1$/im,
      /^Diagnostic-Code: smtp; ?550 5\.1\.1 No such user here$/im,
      /^X-Test-Id: never$/im,
    ]) {
      assert.match(report.text, line)
    }
    assert.match(report.text, /Content-Type: text\/rfc822-headers/i)
  })

  test('a report that cannot be delivered makes no second one', async () => {
    const client = await SmtpClient.ready({
      port: system.port('submission'),
      starttls: true,
      user: 'joe',
      password: passwords.joe,
    })
    const content = testMessage({ id: 'double', from: 'joe@sluice.test', to: 'never2@elsewhere.test' })
    const id = idOf(await client.send({ from: '', to: ['never2@elsewhere.test'], content }))
    await client.quit()
    await system.waitForEvent('double bounce', id)
    assert.ok(!system.log.some((line) => line.event === 'reported' && line['about'] === id))
  })
})
