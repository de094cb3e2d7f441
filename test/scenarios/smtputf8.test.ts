import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { type MailSink, startMailSink } from '../support/mail-sink.ts'
import { MailSystem } from '../support/mail-system.ts'
import { idOf, testMessage } from '../support/messages.ts'
import { SmtpClient } from '../support/smtp-client.ts'

const conf = (able: number, unable: number): string => `listen on 127.0.0.1 port {{smtp}} hostname "mx.sluice.test"
action "able" relay host "smtp://127.0.0.1:${able}"
action "unable" relay host "smtp://127.0.0.1:${unable}"
match from local for domain "exämple.test" action "able"
match from local for domain { author.test } action "able"
match from local for domain { old.test } action "unable"
`

describe('internationalised mail', () => {
  let able: MailSink
  let unable: MailSink
  let system: MailSystem

  before(async () => {
    able = await startMailSink({ extensions: ['PIPELINING', '8BITMIME', 'SMTPUTF8', 'SIZE 1000000'] })
    unable = await startMailSink({ extensions: ['PIPELINING', '8BITMIME', 'SIZE 1000000'] })
    system = await MailSystem.start({ conf: conf(able.port, unable.port) })
  })

  after(async () => {
    await system.stop()
    await able.stop()
    await unable.stop()
  })

  async function send(id: string, from: string, ...to: readonly string[]): Promise<string> {
    const client = await SmtpClient.ready({ port: system.port('smtp') })
    for (const line of [`MAIL FROM:<${from}> SMTPUTF8`, ...to.map((one) => `RCPT TO:<${one}>`)])
      assert.equal((await client.command(line)).code, 250, line)
    assert.equal((await client.command('DATA')).code, 354)
    const content = testMessage({ id, from, to: to[0] ?? '', subject: 'Grüße' })
    const reply = await client.command(`${content}\r\n.`)
    await client.quit()
    return idOf(reply)
  }

  test('reaches a host that takes it, whichever form of its domain a rule and the sender write', async () => {
    await send('both', 'jörg@author.test', 'zoë@exämple.test', 'zoë@xn--exmple-cua.test')
    const message = await able.waitForMessage((one) => one.id === 'both')
    assert.equal(message.from, 'jörg@author.test')
    assert.match(message.mailParameters, /SMTPUTF8/)
    assert.deepEqual(message.recipients, ['zoë@xn--exmple-cua.test'])
    assert.match(message.content.toString(), /with UTF8SMTP\r\n[^]*Subject: Grüße\r\n/)
  })

  test('comes back as a report the sender can read where the next host does not take it', async () => {
    const id = await send('never', 'jörg@author.test', 'ann@old.test')
    await system.waitForEvent('failed', id)
    const report = await able.waitForMessage((one) => /^Action: failed/m.test(one.content.toString()))
    assert.deepEqual([report.from, ...report.recipients], ['', 'jörg@author.test'])
    const text = report.content.toString()
    assert.match(text, /Content-Type: message\/global-delivery-status/)
    assert.match(text, /Status: 5\.6\.7/)
    assert.equal(unable.copies.size, 0)
  })
})
