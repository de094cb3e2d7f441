import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import type { Reply } from '../../shared/mail/reply.ts'
import type { SessionRule, SessionSettings } from '../../shared/config/session-rules.ts'
import { SmtpClient } from '../../test/support/smtp-client.ts'
import { inlineMap, startInbound, testPipeline } from './testing.ts'
import type { TestInbound, TestInboundOptions } from './testing.ts'

const at = { file: 'pipeline.conf', line: 1, column: 1 }

function saying(
  ...rules: readonly (SessionSettings | SessionRule)[]
): NonNullable<TestInboundOptions['configuration']> {
  const sessions = rules.map((rule) => ('settings' in rule ? rule : { at, settings: rule }))
  return { pipeline: { ...testPipeline, sessions } }
}

async function start(
  t: TestContext,
  settings: SessionSettings,
  options: TestInboundOptions = {},
): Promise<TestInbound> {
  const inbound = await startInbound({ configuration: saying(settings), ...options })
  t.after(() => inbound.close())
  return inbound
}

async function connect(t: TestContext, inbound: TestInbound): Promise<SmtpClient> {
  const client = await SmtpClient.connect({ port: inbound.port, timeoutMs: 30_000 })
  t.after(() => client.destroy())
  return client
}

async function greeted(t: TestContext, inbound: TestInbound): Promise<SmtpClient> {
  const client = await connect(t, inbound)
  await client.reply()
  return client
}

test('banner: the greeting has the text of the operator and our name', async (t) => {
  const inbound = await start(t, { banner: '%{hostname} ESMTP at your service' })
  const client = await connect(t, inbound)
  assert.equal((await client.reply()).raw, '220 mx.sluice.test ESMTP at your service')
})

test('helo required off: a message is taken without HELO, and Received says so', async (t) => {
  const inbound = await start(t, { heloRequired: false })
  const client = await greeted(t, inbound)
  for (const line of ['MAIL FROM:<a@example.net>', 'RCPT TO:<jane@example.org>', 'DATA']) await client.command(line)
  assert.equal((await client.command('Subject: x\r\n\r\nHello\r\n.')).code, 250)
  assert.match(inbound.accepted[0]?.message ?? '', /^Received: from unknown \(/)
  assert.equal(inbound.accepted[0]?.envelope.origin.helo, undefined)
})

test('vrfy off: VRFY is not implemented', async (t) => {
  const client = await greeted(t, await start(t, { vrfy: false }))
  assert.equal((await client.command('VRFY jane')).code, 502)
})

test('limit errors, line: the session ends where the operator says', async (t) => {
  const client = await greeted(t, await start(t, { errors: 2, lineBytes: 512 }))
  assert.equal((await client.command(`NOOP ${'x'.repeat(600)}`)).raw, '500 5.5.2 Line too long')
  assert.equal((await client.command('NONSENSE')).code, 500)
  assert.equal((await client.reply()).raw, '421 4.7.0 Too many errors')
})

test('limit hops: a message with more Received fields goes round', async (t) => {
  const client = await greeted(t, await start(t, { hops: 2, heloRequired: false }))
  for (const line of ['MAIL FROM:<a@example.net>', 'RCPT TO:<jane@example.org>', 'DATA']) await client.command(line)
  const received = 'Received: from a by b; Sat, 21 Nov 2026 03:22:05 +0000\r\n'
  assert.equal((await client.command(`${received.repeat(3)}\r\nHello\r\n.`)).code, 554)
})

const message = 'Subject: x\nX: y\n\nHello\n.\nMAIL FROM:<evil@example.net>\n'

test('bare-line-ends repair: a message of lines with a bare LF becomes CR LF, and only CR LF . CR LF ends it', async (t) => {
  const inbound = await start(t, { bareLineEnds: 'repair' })
  const client = await greeted(t, inbound)
  client.write('EHLO printer\n')
  assert.equal((await client.reply()).code, 250)
  for (const line of ['MAIL FROM:<a@example.net>', 'RCPT TO:<jane@example.org>', 'DATA']) {
    client.write(`${line}\n`)
    assert.ok((await client.reply()).code < 400)
  }
  assert.equal((await client.command(`${message}\r\n.`)).code, 250)
  assert.equal(inbound.accepted.length, 1)
  assert.doesNotMatch(inbound.accepted[0]?.content ?? '', /[^\r]\n|\r[^\n]/)
  assert.match(inbound.accepted[0]?.content ?? '', /evil@example\.net/)
})

test('bare-line-ends reject: users are refused like strangers; by default strangers only', async (t) => {
  for (const settings of [{ bareLineEnds: 'reject' }, {}] as const) {
    const client = await greeted(t, await start(t, { ...settings, heloRequired: false }))
    for (const line of ['MAIL FROM:<a@example.net>', 'RCPT TO:<jane@example.org>', 'DATA']) await client.command(line)
    assert.equal((await client.command('Subject: x\r\n\r\nHello\nyou\r\n.')).code, 550)
  }
})

test('limit connections: who has too many is told so, those of `except` are not, and a listener has numbers of its own', async (t) => {
  const except = { ...inlineMap('nets', {}), source: { kind: 'inline', list: ['127.0.0.0/8'] } } as const
  const settings = { connections: 3, connectionsPerClient: 1 }
  const inbound = await start(t, settings)
  await greeted(t, inbound)
  assert.equal((await (await connect(t, inbound)).reply()).raw, '421 4.7.0 Too many connections from your address')
  const open = await start(t, { ...settings, connectionsExcept: except })
  for (const _ of [1, 2, 3]) await greeted(t, open)
  assert.equal((await (await connect(t, open)).reply()).raw, '421 4.7.0 Too many connections, try again later')
  const chosen = { at, for: { kind: 'tag', tag: 'T' }, settings: { connections: 2, connectionsPerClient: 2 } } as const
  const own = await start(t, {}, { listener: { tag: 'T' }, configuration: saying(settings, chosen) })
  for (const _ of [1, 2]) await greeted(t, own)
  assert.equal((await (await connect(t, own)).reply()).raw, '421 4.7.0 Too many connections from your address')
})

test('limit connections: exceptions that cannot be read except nobody, and the door stays open', async (t) => {
  const except = { ...inlineMap('gone', {}), source: { kind: 'file', path: '/nowhere/networks' } } as const
  const inbound = await start(t, { connections: 3, connectionsPerClient: 1, connectionsExcept: except })
  await greeted(t, inbound)
  assert.equal((await (await connect(t, inbound)).reply()).raw, '421 4.7.0 Too many connections from your address')
})

test('limit connections: a reload changes the number, and those who are there stay', async (t) => {
  const inbound = await start(t, { connections: 2 })
  const first = await greeted(t, inbound)
  await inbound.reload(saying({ connections: 1 }))
  assert.equal((await (await connect(t, inbound)).reply()).code, 421)
  assert.equal((await first.command('NOOP')).code, 250)
})

test('limit message: the size of one listener, in EHLO, at MAIL and at the end of DATA', async (t) => {
  const elsewhere: SessionRule = { at, for: { kind: 'tag', tag: 'Other' }, settings: { messageBytes: 5_000 } }
  const inbound = await startInbound({
    listener: { tag: 'Scanner' },
    configuration: saying(
      { messageBytes: 3_000 },
      { at, for: { kind: 'tag', tag: 'Scanner' }, settings: { messageBytes: 2_000 } },
      elsewhere,
    ),
  })
  t.after(() => inbound.close())
  const client = await greeted(t, inbound)
  assert.match((await client.command('EHLO client.test')).raw, /SIZE 2000/)
  assert.equal((await client.command('MAIL FROM:<a@example.net> SIZE=2001')).code, 552)
  assert.equal((await client.command('MAIL FROM:<a@example.net> SIZE=2000')).code, 250)
  for (const line of ['RCPT TO:<jane@example.org>', 'DATA']) await client.command(line)
  const reply = await client.command(
    `Subject: x\r\n\r\n${'x'.repeat(70)}\r\n`.concat(`${'y'.repeat(70)}\r\n`.repeat(30), '.'),
  )
  assert.match(reply.raw, /^552 5\.3\.4 /)
  assert.deepEqual([inbound.accepted.length, inbound.aborted()], [0, 1])
})

test('every refusal has an enhanced status code of its class, also where another server or a table has none', async (t) => {
  const refusing = (reply: Reply): TestInboundOptions => ({
    resolveRecipient: () => Promise.resolve({ kind: 'rejected', reply }),
  })
  for (const [reply, expected] of [
    [{ code: 550, text: 'No such user here' }, '550 5.0.0 No such user here'],
    [{ code: 452, enhanced: '5.2.2', text: 'Full' }, '452 4.2.2 Full'],
  ] as const) {
    const client = await greeted(t, await start(t, {}, refusing(reply)))
    for (const line of ['EHLO x', 'MAIL FROM:<a@example.net>']) await client.command(line)
    assert.equal((await client.command('RCPT TO:<jane@example.org>')).raw, expected)
  }
})
