import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import type { Table } from '../../shared/config/model.ts'
import type { BanRule, RateRule } from '../../shared/config/rate-rules.ts'
import { SmtpClient, plain } from '../../test/support/smtp-client.ts'
import { credentials, startInbound, testPipeline } from './testing.ts'
import type { TestInbound, TestInboundOptions } from './testing.ts'
import { connected, dialogue, start } from './testing-session.ts'

const at = { file: '/etc/mail/pipeline.conf', line: 4, column: 1 }
const hourMs = 3_600_000

function list(...entries: readonly string[]): Table {
  return { name: 'list', source: { kind: 'inline', list: entries }, at }
}

function rating(...rules: readonly Partial<RateRule>[]): NonNullable<TestInboundOptions['configuration']> {
  const rates = rules.map(
    (rule) => ({ at, per: 'client', count: 2, periodMs: hourMs, unit: 'messages', ...rule }) as const,
  )
  return { pipeline: { ...testPipeline, rates } }
}

const mail = ['MAIL FROM:<a@example.net>', '250'] as const
const rset = ['RSET', '250'] as const
const jane = ['RCPT TO:<jane@example.org>', '250'] as const

test('rate client messages: what is more is refused for now, in every session of that client', async (t) => {
  const inbound = await start(t, { configuration: rating({}) })
  const client = await connected(t, inbound)
  await dialogue(client, [mail, rset, mail, rset])
  assert.equal(
    (await client.command('MAIL FROM:<a@example.net>')).raw,
    '450 4.7.1 Too many messages from your address, try again later',
  )
  await dialogue(await connected(t, inbound), [['MAIL FROM:<b@example.net>', '450 4.7.1']])
  assert.equal(inbound.events.filter((name) => name === 'rateExceeded').length, 1)
})

test('rate client recipients: a recipient that is refused does not count', async (t) => {
  const inbound = await start(t, { configuration: rating({ unit: 'recipients' }) })
  const client = await connected(t, inbound)
  await dialogue(client, [
    mail,
    ['RCPT TO:<nobody@example.org>', '550'],
    jane,
    ['RCPT TO:<nobody@example.org>', '550'],
    ['RCPT TO:<john@example.org>', '250'],
    ['RCPT TO:<postmaster@example.org>', '450 4.7.1'],
  ])
})

test('rate client connections: the next one gets 421', async (t) => {
  const inbound = await start(t, { configuration: rating({ unit: 'connections', count: 1 }) })
  await connected(t, inbound)
  const client = await SmtpClient.connect({ port: inbound.port })
  t.after(() => client.destroy())
  assert.match((await client.reply()).raw, /^421 4\.7\.0 Too many new connections/)
})

test('rate user: counts who has logged in, over all sessions, and nobody else', async (t) => {
  const listener = { tls: 'offered', auth: { kind: 'optional', table: credentials } } as const
  const inbound = await start(t, { listener, configuration: rating({ per: 'user', count: 1 }) })
  const user = { starttls: true, user: 'jane', password: 'secret' }
  await dialogue(await connected(t, inbound, user), [mail])
  assert.equal(
    (await (await connected(t, inbound, user)).command('MAIL FROM:<a@example.net>')).raw,
    '450 4.7.1 You have sent too many messages, try again later',
  )
  await dialogue(await connected(t, inbound), [mail, rset, mail])
})

test('rates: exceptions, and listeners that are not named, are not counted', async (t) => {
  const here = list('127.0.0.0/8')
  const inbound = await start(t, {
    configuration: rating({ count: 1, except: here }, { count: 1, for: { kind: 'tag', tag: 'Other' } }),
  })
  await dialogue(await connected(t, inbound), [mail, rset, mail, rset, mail])
})

/** A PROXY header, version 2, of a client at 192.0.2.LAST. */
function from(last: number): Buffer {
  const signature = Buffer.from('0d0a0d0a000d0a515549540a2111000c', 'hex')
  return Buffer.concat([signature, Buffer.from([192, 0, 2, last, 10, 0, 0, 1, 0xd4, 0x31, 0, 25])])
}

async function behindProxy(
  t: TestContext,
  rule: Partial<BanRule>,
  options: TestInboundOptions = {},
): Promise<TestInbound> {
  const bans = [
    { at, count: 2, offence: 'protocol-errors', periodMs: hourMs, durationMs: hourMs, ...rule },
  ] satisfies readonly BanRule[]
  const inbound = await startInbound({
    ...options,
    configuration: { pipeline: { ...testPipeline, bans, trustedProxies: ['127.0.0.0/8'] } },
    listener: { proxy: true, ...options.listener },
  })
  t.after(() => inbound.close())
  return inbound
}

async function isLetIn(t: TestContext, { port }: TestInbound, last: number): Promise<boolean> {
  const client = await SmtpClient.connect({ port, preamble: from(last) })
  t.after(() => client.destroy())
  return client.reply().then(
    ({ code }) => code === 220,
    () => false,
  )
}

test('ban: too many protocol errors end the session, and the client is not let in again; others are', async (t) => {
  const inbound = await behindProxy(t, {})
  const client = await connected(t, inbound, { preamble: from(7) })
  await dialogue(client, [
    ['NONSENSE', '500'],
    ['STARTTLS', '502'],
  ])
  assert.match((await client.reply()).raw, /^421 4\.7\.0 Too many errors/)
  await client.waitForClose()
  assert.equal(await isLetIn(t, inbound, 7), false)
  assert.equal(await isLetIn(t, inbound, 8), true)
  assert.ok(inbound.events.includes('banned'))
})

test('ban: refused recipients and wrong passwords count, commands out of turn do not count for them', async (t) => {
  const refused = await behindProxy(t, { offence: 'refused-recipients' })
  const client = await connected(t, refused, { preamble: from(7) })
  await dialogue(client, [
    ['NONSENSE', '500'],
    mail,
    jane,
    ['RCPT TO:<x@example.org>', '550'],
    ['RCPT TO:<y@example.org>', '550'],
  ])
  assert.equal((await client.reply()).code, 421)
  assert.equal(await isLetIn(t, refused, 7), false)
  const listener = { tls: 'offered', auth: { kind: 'required', table: credentials } } as const
  const guarded = await behindProxy(t, { offence: 'auth-failures' }, { listener })
  const guesser = await connected(t, guarded, { preamble: from(9), starttls: true })
  await dialogue(guesser, [
    [`AUTH PLAIN ${plain('jane', 'x')}`, '535'],
    [`AUTH PLAIN ${plain('jane', 'y')}`, '535'],
  ])
  await guesser.waitForClose()
  assert.equal(await isLetIn(t, guarded, 9), false)
})

test('ban: who is excepted, and this host, is never banned', async (t) => {
  const excepted = await behindProxy(t, { except: list('192.0.2.0/28') })
  const client = await connected(t, excepted, { preamble: from(7) })
  await dialogue(client, [['NONSENSE', '500'], ['NONSENSE', '500'], ['NONSENSE', '500'], mail])
  const bans: readonly BanRule[] = [{ at, count: 1, offence: 'protocol-errors', periodMs: hourMs, durationMs: hourMs }]
  const local = await start(t, { configuration: { pipeline: { ...testPipeline, bans } } })
  await dialogue(await connected(t, local), [['NONSENSE', '500'], ['NONSENSE', '500'], mail])
})
