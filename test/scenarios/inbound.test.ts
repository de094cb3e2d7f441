import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { standardConf, standardPipeline } from '../support/configurations.ts'
import { curlMail } from '../support/curl.ts'
import { type DnsServer, startDns } from '../support/dns.ts'
import { MailSystem } from '../support/mail-system.ts'
import { bodyOf, idOf, testMessage } from '../support/messages.ts'
import { missingPeers } from '../support/peer.ts'
import { SmtpClient } from '../support/smtp-client.ts'
import { swaks } from '../support/swaks.ts'

describe('inbound mail', () => {
  let dns: DnsServer
  let system: MailSystem

  before(async () => {
    dns = await startDns({
      'remote.test': { TXT: ['v=spf1 ip4:127.0.0.1 -all'], MX: [[10, 'mx.remote.test']] },
      'forbids.test': { TXT: ['v=spf1 -all'] },
      'mx.remote.test': { A: ['127.0.0.1'] },
      '_dmarc.remote.test': { TXT: ['v=DMARC1; p=none'] },
    })
    system = await MailSystem.start({
      conf: standardConf(),
      pipeline: standardPipeline(`resolver "${dns.address}"\nauth-results verify spf dkim dmarc`),
    })
  })

  after(async () => {
    await system.stop()
    await dns.stop()
  })

  async function deliver(message: {
    readonly id: string
    readonly from?: string
    readonly to?: string
    readonly content?: string
  }) {
    const { id, from = 'sender@remote.test', to = 'jane@sluice.test' } = message
    const client = await SmtpClient.ready({ port: system.port('smtp') })
    const reply = await client.send({ from, to: [to], content: message.content ?? testMessage({ id, from, to }) })
    await client.quit()
    return { queueId: idOf(reply), user: to.split('@')[0]?.split('+')[0] ?? '' }
  }

  async function arrived(user: string, id: string) {
    for (let count = 1; ; count++) {
      const mails = await system.maildir(user).waitForMessages(count)
      const mail = mails.find((one) => one.field('X-Test-Id') === id)
      if (mail !== undefined) return mail
      count = mails.length
    }
  }

  test('a message ends in the mailbox with its trace and verdict', async () => {
    const { queueId, user } = await deliver({ id: 'trace' })
    const mail = await arrived(user, 'trace')
    assert.equal(mail.field('Return-Path'), '<sender@remote.test>')
    assert.equal(mail.field('Delivered-To'), 'jane@sluice.test')
    assert.match(mail.field('Received') ?? '', new RegExp(`by mx\\.sluice\\.test .*with ESMTP.* id ${queueId}\\b`))
    assert.match(mail.field('Authentication-Results') ?? '', /^mx\.sluice\.test\b.*spf=pass/)
    assert.equal(mail.body, 'hello\n')
    assert.ok(mail.header.indexOf('Return-Path:') < mail.header.indexOf('Received:'), mail.header)
  })

  test('the id of the 250 finds the whole story', async () => {
    const { queueId } = await deliver({ id: 'story' })
    await system.waitForEvent('delivered', queueId)
    const shown = await system.ctl('show', 'message', queueId)
    assert.equal(shown.code, 0, shown.stderr)
    for (const word of ['received', 'Filtered', 'delivered', 'jane@sluice.test', 'sender@remote.test']) {
      assert.ok(shown.stdout.includes(word), `${word} in:\n${shown.stdout}`)
    }
    const story = JSON.stringify(await system.ctlJson('show', 'message', queueId))
    assert.ok(story.includes('"delivered"'), story)
  })

  test('a sender that SPF forbids is marked so, not passed', async () => {
    const { user } = await deliver({ id: 'spf-fail', from: 'x@forbids.test' })
    const mail = await arrived(user, 'spf-fail')
    assert.match(mail.field('Authentication-Results') ?? '', /spf=(hard)?fail/)
  })

  test("a stranger's forged verdict and return path are gone", async () => {
    const forged = [
      'Return-Path: <forged@evil.test>',
      'Authentication-Results: mx.sluice.test; spf=pass; dmarc=pass',
      'X-Spam: No',
      testMessage({ id: 'forged' }),
    ].join('\r\n')
    const { user } = await deliver({ id: 'forged', content: forged })
    const mail = await arrived(user, 'forged')
    assert.deepEqual(mail.fields('Return-Path'), ['<sender@remote.test>'])
    assert.equal(mail.fields('Authentication-Results').filter((value) => value.startsWith('mx.sluice.test')).length, 1)
  })

  test('mail from <> arrives, and names nobody to answer', async () => {
    const { user } = await deliver({ id: 'null-path', from: '' })
    const mail = await arrived(user, 'null-path')
    assert.equal(mail.field('Return-Path') ?? '<>', '<>')
  })

  test('a sub-address reaches its user', async () => {
    await deliver({ id: 'detail', to: 'bob+lists@sluice.test' })
    const mail = await arrived('bob', 'detail')
    assert.equal(mail.field('Delivered-To'), 'bob+lists@sluice.test')
  })

  test('each octet of a large message with dots arrives as it was sent', async () => {
    const body = bodyOf('large', 3_000_000)
    await deliver({
      id: 'large',
      to: 'joe@sluice.test',
      content: testMessage({ id: 'large', to: 'joe@sluice.test', body }),
    })
    const mail = await arrived('joe', 'large')
    assert.ok(mail.body === `${body}\n`, `${mail.body.length} octets came, ${body.length + 1} were sent`)
  })

  test('swaks delivers', { skip: missingPeers('swaks') }, async () => {
    const where = ['--server', `127.0.0.1:${system.port('smtp')}`]
    const what = ['--from', 'sender@remote.test', '--to', 'jane@sluice.test', '--h-X-Test-Id', 'swaks']
    const sent = await swaks([...where, ...what])
    assert.equal(sent.code, 0, sent.stdout)
    await arrived('jane', 'swaks')
  })

  test('curl delivers over STARTTLS, and the trace says so', { skip: missingPeers('curl') }, async () => {
    const sent = await curlMail({
      url: `smtp://127.0.0.1:${system.port('smtp')}`,
      from: 'sender@remote.test',
      to: 'jane@sluice.test',
      content: testMessage({ id: 'curl' }),
    })
    assert.equal(sent.code, 0, sent.stderr)
    const mail = await arrived('jane', 'curl')
    assert.match(mail.field('Received') ?? '', /with ESMTPS/)
  })
})
