import assert from 'node:assert/strict'
import { after, test } from 'node:test'

import type { LocalAction } from '../../shared/config/model.ts'
import { formatReply } from '../../shared/mail/reply.ts'
import { polite, startServer } from '../../shared/smtp-client/testing.ts'
import type { PoliteOptions, ScriptedServer, TakenMessage } from '../../shared/smtp-client/testing.ts'
import { LmtpDelivery } from './deliver-lmtp.ts'
import { openDelivery } from './index.ts'
import { lmtpEndpoint } from '../../shared/smtp-client/lmtp-endpoint.ts'
import { localAction, stageContext, stageMessage } from './testing.ts'
import type { TestMessage } from './testing.ts'

const servers: ScriptedServer[] = []
after(() => Promise.all(servers.map((server) => server.close())))

async function deliver(
  parts: TestMessage,
  options: { readonly server?: PoliteOptions; readonly rcptTo?: boolean; readonly action?: Partial<LocalAction> } = {},
) {
  const taken: TakenMessage[] = []
  const server = await startServer(polite(taken, { protocol: 'lmtp', ...options.server }))
  servers.push(server)
  const method = { kind: 'lmtp', destination: '/run/lmtp', rcptTo: options.rcptTo ?? false } as const
  const action = localAction(method, options.action)
  const context = stageContext([action], { sockets: new Map([['/run/lmtp', `127.0.0.1:${server.port}`]]) })
  const lmtp = new LmtpDelivery()
  const attempts = await lmtp.deliver(stageMessage(parts), action, method, context)
  await lmtp.close()
  const said = [...attempts].sort((a, b) => a.recipient - b.recipient).map((attempt) => formatReply(attempt.reply))
  return { taken, attempts, said, message: taken[0] }
}

test('all recipients go in one transaction, and each has its own outcome', async () => {
  const { said, taken, attempts } = await deliver(
    { to: ['jane@example.org', 'Joe+x@example.org', 'full@example.org', 'nobody@example.org'] },
    {
      server: {
        rcptReply: (line) => (line.includes('nobody') ? '550 5.1.1 unknown' : '250 ok'),
        finalReply: (rcpt) => (rcpt.includes('full') ? '452 4.2.2 over quota' : '250 2.0.0 saved'),
      },
    },
  )
  assert.deepEqual(said, ['250 2.0.0 saved', '250 2.0.0 saved', '452 4.2.2 over quota', '550 5.1.1 unknown'])
  assert.deepEqual(taken[0]?.rcpt, ['RCPT TO:<jane>', 'RCPT TO:<joe>', 'RCPT TO:<full>'])
  assert.match(taken[0].mail, /^MAIL FROM:<joe@example\.net> SIZE=\d+$/)
  assert.ok(
    attempts.every((attempt) => attempt.reached === 'local' && attempt.remoteMta?.includes('127.0.0.1') === true),
  )
})

test('rcpt-to gives the whole address', async () => {
  const { message } = await deliver({ to: ['Jane+x@example.org'] }, { rcptTo: true })
  assert.deepEqual(message?.rcpt, ['RCPT TO:<Jane+x@example.org>'])
})

test('two addresses of one user are one copy', async () => {
  const { message, said } = await deliver({ to: ['jane@a.example', 'jane@b.example'] })
  assert.deepEqual(message?.rcpt, ['RCPT TO:<jane>'])
  assert.deepEqual(said, ['250 2.0.0 queued', '250 2.0.0 queued'])
})

test('Delivered-To is added for a single recipient only, so that others are not told', async () => {
  const one = await deliver({ original: 'sales@example.org' })
  assert.match(
    one.message?.content ?? '',
    /^Delivered-To: sales@example\.org\r\nX-Original-To: sales@example\.org\r\nSubject/,
  )
  const two = await deliver({ to: ['jane@example.org', 'joe@example.org'] })
  assert.match(two.message?.content ?? '', /^Subject/)
  const bounce = await deliver({ from: null })
  assert.match(bounce.message?.content ?? '', /^Delivered-To: jane@example\.org\r\nSubject/)
})

test('a loop stops the recipient it concerns', async () => {
  const content = 'Delivered-To: jane@example.org\r\n\r\nx\r\n'
  const { said, message } = await deliver({ content, to: ['jane@example.org', 'joe@example.org'] })
  assert.match(said[0] ?? '', /^554 5\.4\.6 /)
  assert.match(said[1] ?? '', /^250 /)
  assert.deepEqual(message?.rcpt, ['RCPT TO:<joe>'])
})

test('a mailbox server that is out of order never makes a bounce', async () => {
  const { said } = await deliver({}, { server: { greeting: '554 5.3.2 go away' } })
  assert.match(said[0] ?? '', /^451 4\.3\.0 .*go away/)
})

test('a mailbox server that is away means later', async () => {
  const method = { kind: 'lmtp', destination: '/nonexistent/lmtp', rcptTo: false } as const
  const action = localAction(method)
  const lmtp = new LmtpDelivery()
  const [attempt] = await lmtp.deliver(stageMessage(), action, method, stageContext([action]))
  assert.equal(
    formatReply(attempt?.reply ?? assert.fail()),
    '451 4.4.1 cannot connect to /nonexistent/lmtp: no such socket',
  )
  await lmtp.close()
})

test('an LMTP destination is a path, or a host with an optional port', () => {
  const none = new Map<string, string>()
  assert.deepEqual(lmtpEndpoint('/run/lmtp', none), { kind: 'unix', path: '/run/lmtp' })
  assert.deepEqual(lmtpEndpoint('dovecot', none), { kind: 'tcp', host: 'dovecot', port: 25 })
  assert.deepEqual(lmtpEndpoint('dovecot:24', none), { kind: 'tcp', host: 'dovecot', port: 24 })
  assert.deepEqual(lmtpEndpoint('[::1]:24', none), { kind: 'tcp', host: '::1', port: 24 })
  assert.deepEqual(lmtpEndpoint('::1', none), { kind: 'tcp', host: '::1', port: 25 })
  assert.deepEqual(lmtpEndpoint('/run/lmtp', new Map([['/run/lmtp', 'dovecot:24']])), {
    kind: 'tcp',
    host: 'dovecot',
    port: 24,
  })
})

test('an action that is gone means later', async () => {
  const stage = await openDelivery()
  const disposition = await stage.handle(stageMessage(), stageContext([]))
  assert.ok(disposition.kind === 'settled')
  assert.equal(disposition.attempts[0]?.reply.code, 451)
  await stage.close()
})

test('an action that only passes mail on delivers nothing, and the mail waits', async () => {
  const stage = await openDelivery()
  const disposition = await stage.handle(stageMessage(), stageContext([localAction({ kind: 'expand-only' })]))
  assert.ok(disposition.kind === 'settled')
  assert.equal(disposition.attempts[0]?.reply.code, 451)
  await stage.close()
})

test('messages share a session, sent in one group each; one that the server ended meanwhile is no failed attempt', async () => {
  const taken: TakenMessage[] = []
  const groups: string[] = []
  const script = polite(taken, { protocol: 'lmtp' })
  const { lmtp, server, deliverOne } = await lmtpTo(async (session, index) => {
    session.socket.on('data', (octets: Buffer) => groups.push(`${index} ${octets.toString('latin1').slice(0, 4)}`))
    await script(session, index)
  })
  await deliverOne()
  await deliverOne()
  const expected = ['0 LHLO', '0 MAIL', '0 Subj', '0 MAIL', '0 Subj']
  assert.deepEqual(groups, expected, 'MAIL, RCPT and DATA in one segment, the content in another')
  for (const session of server.sessions) session.hangUp()
  await server.whenIdle()
  const [attempt] = await deliverOne()
  assert.equal(attempt?.reply.code, 250)
  assert.deepEqual(
    taken.map(({ connection }) => connection),
    [0, 0, 1],
  )
  await lmtp.close()
})

test('a server that takes few recipients at a time gets them in several transactions, each recipient once', async () => {
  let count = 0
  const mailReply = (): string => {
    count = 0
    return '250 2.1.0 ok'
  }
  const rcptReply = (): string => (count++ < 2 ? '250 2.1.5 ok' : '452 4.5.3 Too many recipients')
  const to = ['a@x.test', 'b@x.test', 'c@x.test', 'd@x.test', 'e@x.test']
  const { said, taken } = await deliver({ to }, { rcptTo: true, server: { mailReply, rcptReply } })
  assert.deepEqual(
    said,
    to.map(() => '250 2.0.0 queued'),
  )
  assert.deepEqual(
    taken.map(({ rcpt }) => rcpt.length),
    [2, 2, 1],
  )
  assert.deepEqual(
    taken.flatMap(({ rcpt }) => rcpt),
    to.map((one) => `RCPT TO:<${one}>`),
  )
})

test('a server that dies between its answers: who was answered is done, the others wait and may get it twice', async () => {
  const { lmtp, deliverOne } = await lmtpTo(async (session) => {
    session.say('220 hi')
    await session.line()
    session.say('250-x', '250 PIPELINING')
    for (let line = await session.line(); line !== 'DATA'; line = await session.line());
    session.say('250 ok', '250 ok', '250 ok', '354 go')
    await session.content()
    session.socket.end('250 2.0.0 saved\r\n')
  })
  const [first, second] = (await deliverOne()).map(({ reply }) => formatReply(reply))
  assert.equal(first, '250 2.0.0 saved')
  assert.match(second ?? '', /^451 4\.4\.2 lost connection .*; it may have taken the message$/)
  await lmtp.close()
})

/** A delivery that keeps its sessions, to a server with a script of its own. */
async function lmtpTo(script: Parameters<typeof startServer>[0]) {
  const server = await startServer(script)
  servers.push(server)
  const method = { kind: 'lmtp', destination: '/run/lmtp', rcptTo: true } as const
  const action = localAction(method)
  const context = stageContext([action], { sockets: new Map([['/run/lmtp', `127.0.0.1:${server.port}`]]) })
  const lmtp = new LmtpDelivery()
  const message = stageMessage({ to: ['a@x.test', 'b@x.test'] })
  return { lmtp, server, deliverOne: () => lmtp.deliver(message, action, method, context) }
}
