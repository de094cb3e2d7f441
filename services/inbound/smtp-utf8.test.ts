import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Mailbox } from '../../shared/mail/address.ts'
import { testPipeline } from './testing.ts'
import { connected, dialogue, only, start } from './testing-session.ts'

const mail = ['MAIL FROM:<a@example.net>', '250 2.1.0'] as const
const data = ['DATA', '354 '] as const

test('an address in UTF-8 is taken with SMTPUTF8, in one form, and the message says so', async (t) => {
  const resolveRecipient = async (_: unknown, mailbox: Mailbox) => ({
    kind: 'accepted' as const,
    recipients: [{ mailbox }],
  })
  const inbound = await start(t, { resolveRecipient })
  const client = await connected(t, inbound)
  await dialogue(client, [
    ['MAIL FROM:<jo\u0308rg@BÜCHER.test> SMTPUTF8', '250'],
    ['RCPT TO:<jané@exämple.org> ORCPT=utf-8;jané@exämple.org', '250 2.1.5'],
    ['RCPT TO:<jane\u0301@xn--exmple-cua.org>', '250 2.1.5'],
    data,
    ['Subject: Grüße\r\n\r\nHallo\r\n.', '250 2.0.0'],
  ])
  const { envelope, message } = only(inbound.accepted)
  assert.equal(envelope.reversePath, 'jörg@xn--bcher-kva.test')
  assert.deepEqual(envelope.recipients, [
    { mailbox: 'jané@xn--exmple-cua.org', orcpt: 'utf-8;jan\\x{E9}@ex\\x{E4}mple.org' },
  ])
  assert.equal(envelope.smtputf8, true)
  assert.match(message, /by mx\.sluice\.test with UTF8SMTP\r\n\tid \w+;/)
})

test('octets that are no UTF-8 are no address', async (t) => {
  const client = await connected(t, await start(t))
  for (const [octets, expected] of [
    ['MAIL FROM:<j\xfcrgen@example.net> SMTPUTF8', /^501 5\.5\.2/],
    ['MAIL FROM:<a\xc0\xafb@example.net> SMTPUTF8', /^501 5\.5\.2/],
    ['MAIL FROM:<a\xed\xa0\x80b@example.net> SMTPUTF8', /^501 5\.5\.2/],
  ] as const) {
    client.write(Buffer.from(`${octets}\r\n`, 'latin1'))
    assert.match((await client.reply()).raw, expected)
  }
})

test('`smtputf8 off`: neither offered nor taken', async (t) => {
  const configuration = { pipeline: { ...testPipeline, extensions: { ...testPipeline.extensions, smtpUtf8: false } } }
  const client = await connected(t, await start(t, { configuration }))
  assert.doesNotMatch((await client.command('EHLO x')).raw, /SMTPUTF8/)
  await dialogue(client, [
    ['MAIL FROM:<a@example.net> SMTPUTF8', '555 5.5.4'],
    ['MAIL FROM:<ü@example.net>', '553 5.6.7'],
    mail,
    ['RCPT TO:<jané@example.org>', '553 5.6.7'],
  ])
})
