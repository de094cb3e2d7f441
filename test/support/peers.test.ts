import assert from 'node:assert/strict'
import { test } from 'node:test'

import { atEnd } from './at-end.ts'
import { startDovecot } from './dovecot.ts'
import { startMailSink } from './mail-sink.ts'
import { missingPeers } from './peer.ts'
import { startPostfix } from './postfix.ts'
import { SmtpClient } from './smtp-client.ts'
import { startSmtpSink } from './smtp-sink.ts'
import { runSmtpSource } from './smtp-source.ts'
import { swaks } from './swaks.ts'

test('smtp-sink counts what smtp-source sends', { skip: missingPeers('smtp-sink', 'smtp-source') }, async (t) => {
  const sink = await startSmtpSink()
  atEnd(t, () => sink.stop())
  await runSmtpSource({ port: sink.port, messages: 50, sessions: 5, reuse: true })
  await sink.waitForCount(50)
  assert.equal(sink.count, 50)
})

test(
  'the mail sink keeps up with smtp-source and tells each message apart',
  {
    skip: missingPeers('smtp-source'),
  },
  async (t) => {
    const sink = await startMailSink({ keep: 'digest' })
    atEnd(t, () => sink.stop())
    await runSmtpSource({ port: sink.port, messages: 2000, reuse: true })
    await sink.waitForDistinct(2000)
    assert.equal(sink.messages.length, 2000)
    assert.equal(new Set(sink.messages.map((message) => message.bodySha256)).size, 1)
  },
)

test('swaks talks to the mail sink', { skip: missingPeers('swaks') }, async (t) => {
  const sink = await startMailSink()
  atEnd(t, () => sink.stop())
  const sent = await swaks(['--server', `127.0.0.1:${sink.port}`, '--from', 'a@b.test', '--to', 'c@d.test'])
  assert.equal(sent.code, 0, sent.stdout)
  assert.equal(sink.messages.length, 1)
})

test('Dovecot delivers by LMTP, refuses the unknown and the full', { skip: missingPeers('dovecot') }, async (t) => {
  const dovecot = await startDovecot({ users: { jane: 'secret', full: 'secret' }, full: ['full'] })
  atEnd(t, () => dovecot.stop())
  const client = await SmtpClient.connect({ port: dovecot.lmtpPort })
  await client.reply()
  await client.command('LHLO client.test')
  const content = 'Subject: to Dovecot\r\n\r\nhello\r\n'
  assert.equal((await client.send({ from: 'a@b.test', to: ['jane'], content })).code, 250)
  assert.equal((await client.send({ from: 'a@b.test', to: ['nobody-here'], content })).code, 550)
  await client.command('RSET')
  const full = await client.send({ from: 'a@b.test', to: ['full'], content })
  assert.equal(full.code, 552, `${full.raw}\n${await dovecot.log()}`)
  const [mail] = await dovecot.maildir('jane').waitForMessages(1)
  assert.equal(mail?.field('Subject'), 'to Dovecot')
  await client.quit()
})

test('a Postfix of our own relays to the sink', { skip: missingPeers('postfix') || rootOnly() }, async (t) => {
  const sink = await startMailSink()
  atEnd(t, () => sink.stop())
  const postfix = await startPostfix({ transport: `smtp:[127.0.0.1]:${sink.port}` })
  atEnd(t, () => postfix.stop())
  const client = await SmtpClient.ready({ port: postfix.port })
  const reply = await client.send({ from: 'a@b.test', to: ['c@d.test'], content: 'Subject: x\r\n\r\nhello\r\n' })
  assert.equal(reply.code, 250, reply.raw)
  await client.quit()
  await sink.waitForMessages(1)
})

function rootOnly(): string | false {
  return process.getuid?.() === 0 ? false : 'Postfix starts for root only'
}
