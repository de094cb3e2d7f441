import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, describe, test } from 'node:test'

import { dkimRecords, passwords, remoteWorld, standardConf, standardPipeline } from '../support/configurations.ts'
import { curlMail } from '../support/curl.ts'
import { verifyDkim } from '../support/dkim-verify.ts'
import { type DnsServer, startDns } from '../support/dns.ts'
import { fixture } from '../support/fixtures.ts'
import { type MailSink, startMailSink } from '../support/mail-sink.ts'
import { MailSystem } from '../support/mail-system.ts'
import { idOf, testMessage } from '../support/messages.ts'
import { missingPeers } from '../support/peer.ts'
import { SmtpClient } from '../support/smtp-client.ts'

describe('submission', () => {
  let dns: DnsServer
  let sink: MailSink
  let system: MailSystem

  before(async () => {
    const read = (name: string) => readFile(fixture(name), 'utf8')
    sink = await startMailSink({ tls: { cert: await read('tls/remote.pem'), key: await read('tls/remote.key') } })
    dns = await startDns({
      'elsewhere.test': { MX: [[10, 'mx.elsewhere.test']] },
      'mx.elsewhere.test': { A: ['127.0.0.1'] },
      'no-mx.test': { A: ['127.0.0.1'] },
      'null-mx.test': { MX: [[0, '.']] },
    })
    system = await MailSystem.start({
      conf: standardConf(),
      pipeline: standardPipeline(remoteWorld(dns.address, sink.port)),
    })
  })

  after(async () => {
    await system.stop()
    await sink.stop()
    await dns.stop()
  })

  async function submit(message: { readonly id: string; readonly to: string; readonly content?: string }) {
    const client = await SmtpClient.ready({
      port: system.port('submission'),
      starttls: true,
      user: 'jane',
      password: passwords.jane,
    })
    const from = 'jane@sluice.test'
    const content = message.content ?? testMessage({ ...message, from })
    const reply = await client.send({ from, to: [message.to], content })
    await client.quit()
    return idOf(reply)
  }

  test(
    'authenticated mail arrives at the MX with a signature that another verifier accepts',
    {
      skip: missingPeers('dkimverify'),
    },
    async () => {
      const id = await submit({ id: 'signed', to: 'friend@elsewhere.test' })
      const message = await sink.waitForMessage((one) => one.id === 'signed')
      assert.equal(message.from, 'jane@sluice.test')
      assert.deepEqual(message.recipients, ['friend@elsewhere.test'])
      assert.ok(message.secure, 'STARTTLS is used where it is offered')
      assert.ok(dns.count('elsewhere.test', 'MX') > 0)
      const verdict = await verifyDkim(message.content, dkimRecords())
      assert.ok(verdict.valid, verdict.detail)
      const relayed = await system.waitForEvent('relayed', id)
      assert.match(String(relayed['reply']), /^250 /)
    },
  )

  test('a changed message is no longer accepted by that verifier', { skip: missingPeers('dkimverify') }, async () => {
    await submit({ id: 'changed', to: 'friend@elsewhere.test' })
    const message = await sink.waitForMessage((one) => one.id === 'changed')
    const changed = Buffer.from(message.content.toString('latin1').replace('hello', 'hullo'), 'latin1')
    assert.equal((await verifyDkim(changed, dkimRecords())).valid, false)
  })

  test('a domain without MX is reached by its address', async () => {
    await submit({ id: 'no-mx', to: 'friend@no-mx.test' })
    const message = await sink.waitForMessage((one) => one.id === 'no-mx')
    assert.deepEqual(message.recipients, ['friend@no-mx.test'])
  })

  test('a domain that takes no mail is reported at once', async () => {
    const id = await submit({ id: 'null-mx', to: 'friend@null-mx.test' })
    const failed = await system.waitForEvent('failed', id)
    assert.match(String(failed['reply']), /^5\d\d 5\.1\.10/)
    const [report] = await system.maildir('jane').waitForMessages(1)
    assert.match(report?.field('Content-Type') ?? '', /multipart\/report/)
  })

  test('a message without Date and Message-ID gets both, and no Bcc leaves', async () => {
    const content =
      'From: jane@sluice.test\r\nTo: friend@elsewhere.test\r\nBcc: secret@elsewhere.test\r\nX-Test-Id: bare\r\n\r\nx\r\n'
    await submit({ id: 'bare', to: 'friend@elsewhere.test', content })
    const { header } = await sink.waitForMessage((one) => one.id === 'bare')
    assert.match(header, /^Date: /m)
    assert.match(header, /^Message-ID: </im)
    assert.doesNotMatch(header, /^Bcc:/im)
  })

  test('curl submits over TLS with a password', { skip: missingPeers('curl') }, async () => {
    const sent = await curlMail({
      url: `smtps://127.0.0.1:${system.port('smtps')}`,
      from: 'joe@sluice.test',
      to: 'friend@elsewhere.test',
      content: testMessage({ id: 'curl', from: 'joe@sluice.test', to: 'friend@elsewhere.test' }),
      login: `joe:${passwords.joe}`,
    })
    assert.equal(sent.code, 0, sent.stderr)
    await sink.waitForMessage((one) => one.id === 'curl')
  })

  test('a stranger reaches no other domain', async () => {
    const client = await SmtpClient.ready({ port: system.port('smtp') })
    const before = sink.messages.length
    const reply = await client.send({ from: 'a@remote.test', to: ['victim@elsewhere.test'], content: 'x' })
    assert.equal(reply.raw.slice(0, 9), '550 5.7.1')
    await client.quit()
    assert.equal(sink.messages.length, before)
  })
})
