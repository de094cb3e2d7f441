import { test } from 'node:test'
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'

import type { Mailbox } from '../../shared/mail/address.ts'
import type { SmtpClient } from '../../test/support/smtp-client.ts'
import type { ResolveRecipient } from './reception.ts'
import { testPipeline } from './testing.ts'
import type { TestInboundOptions } from './testing.ts'
import { connected, dialogue, start } from './testing-session.ts'

function from(...networks: readonly string[]): TestInboundOptions['configuration'] & object {
  const at = { file: 'pipeline.conf', line: 1, column: 1 }
  const expn = { name: 'permitted', source: { kind: 'inline', list: networks }, at } as const
  return { pipeline: { ...testPipeline, extensions: { smtpUtf8: true, expn } } }
}

async function client(t: TestContext, options: TestInboundOptions): Promise<SmtpClient> {
  return connected(t, await start(t, options))
}

function leadingTo(...recipients: readonly { mailbox: string; command?: string }[]): ResolveRecipient {
  return async () => ({
    kind: 'accepted',
    recipients: recipients.map(({ mailbox, command }) => ({
      mailbox: mailbox as Mailbox,
      ...(command === undefined ? {} : { target: { kind: 'command', text: command } }),
    })),
  })
}

test('a permitted client is told whom an alias leads to, and nothing about users', async (t) => {
  const permitted = await client(t, { configuration: from('127.0.0.0/8') })
  assert.match((await permitted.command('EHLO x')).raw, /^250[ -]EXPN$/m)
  const members = '250-2.1.5 <jane@example.org>\n250 2.1.5 <john@example.org>'
  await dialogue(permitted, [
    ['EXPN list', members],
    ['EXPN list@example.org', members],
    ['EXPN <list@example.org>', members],
    ['EXPN jane@example.org', '550 5.1.1 There is no such list here'],
    ['EXPN nobody@example.org', '550 5.1.1 There is no such list here'],
    ['EXPN list@far.test', '550 5.1.1'],
    ['EXPN broken@example.org', '451 4.3.0'],
    ['EXPN', '501 5.5.4'],
    ['EXPN a b', '501 5.5.4'],
    ['EXPN <list@example.org', '501 5.5.4'],
  ])
})

test('others are not, and where nobody may it is no command', async (t) => {
  const resolveRecipient: ResolveRecipient = () => assert.fail('nobody may')
  const others = { configuration: from('192.0.2.0/24'), resolveRecipient }
  await dialogue(await client(t, others), [['EXPN list', '550 5.7.1']])
  const without = await client(t, { resolveRecipient })
  assert.doesNotMatch((await without.command('EHLO x')).raw, /EXPN/)
  await dialogue(without, [['EXPN list', '502 5.5.1']])
})

test('where mail is for users who have logged in, lists are too', async (t) => {
  const listener = { auth: { kind: 'required' }, tls: 'required', pkis: ['server'] } as const
  await dialogue(await client(t, { configuration: from('127.0.0.1'), listener }), [['EXPN list', '530 5.7.0']])
})

test('commands and files behind an alias are not told', async (t) => {
  const list = 'list@mx.sluice.test'
  const resolveRecipient = leadingTo(
    { mailbox: list, command: '/usr/bin/archive --key=secret' },
    { mailbox: list, command: '/usr/bin/other' },
    { mailbox: 'a@example.org' },
  )
  const permitted = await client(t, { configuration: from('127.0.0.1'), resolveRecipient })
  assert.equal((await permitted.command('EXPN list')).raw, `250-2.1.5 <${list}>\n250 2.1.5 <a@example.org>`)
})

test('members beyond ASCII are not said in a reply in ASCII (RFC 6531 §3.7.4.2)', async (t) => {
  const resolveRecipient = leadingTo({ mailbox: 'a@example.org' }, { mailbox: 'zoë@example.org' })
  const permitted = await client(t, { configuration: from('127.0.0.1'), resolveRecipient })
  await dialogue(permitted, [['EXPN list', '550 5.6.8']])
})
