import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'

import type { RelayAction } from '../../shared/config/model.ts'
import { readDestinationBook, totalOf } from '../../shared/destinations/read-book.ts'
import type { DeliveryAttempt } from '../../shared/mail/disposition.ts'
import type { Mailbox } from '../../shared/mail/address.ts'
import { formatReply } from '../../shared/mail/reply.ts'
import { safeReport } from '../../shared/mail/safe-report.ts'
import type { StageContext, StageMessage } from '../../shared/pipeline/stage.ts'
import { polite, startServer } from '../../shared/smtp-client/testing.ts'
import type { PoliteOptions, ScriptedServer, ScriptedSession, TakenMessage } from '../../shared/smtp-client/testing.ts'
import { selfSignedCertificate } from '../../shared/start/self-signed.ts'
import { openRelay } from './index.ts'
import { listTable, relayAction, stageContext, stageMessage } from './testing.ts'
import type { Surroundings } from './testing.ts'

const closing: (() => Promise<void>)[] = []
after(async () => {
  for (const close of closing) await close()
})

async function serve(
  script: (session: ScriptedSession, index: number) => Promise<void>,
  host?: string,
): Promise<ScriptedServer> {
  const server = await startServer(script, host === undefined ? {} : { host })
  closing.push(() => server.close())
  return server
}

/** Another server on the same port, at 127.0.0.2: a port that is free at one address may be taken at the other. */
async function withNeighbour<First extends { readonly server: ScriptedServer }>(
  open: () => Promise<First>,
  script: (session: ScriptedSession, index: number) => Promise<void>,
): Promise<First & { readonly neighbour: ScriptedServer }> {
  for (let round = 0; ; round += 1) {
    const first = await open()
    try {
      const neighbour = await startServer(script, { host: '127.0.0.2', port: first.server.port })
      closing.push(() => neighbour.close())
      return { ...first, neighbour }
    } catch (error) {
      if (round === 50 || (error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    }
  }
}

async function serveBoth(
  one: (session: ScriptedSession, index: number) => Promise<void>,
  two: (session: ScriptedSession, index: number) => Promise<void>,
): Promise<readonly [ScriptedServer, ScriptedServer]> {
  const { server, neighbour } = await withNeighbour(async () => ({ server: await serve(one) }), two)
  return [server, neighbour]
}

async function relayOne(context: StageContext, ...messages: StageMessage[]): Promise<readonly DeliveryAttempt[]> {
  const stage = await openRelay(context)
  closing.push(() => stage.close())
  const attempts: DeliveryAttempt[] = []
  for (const message of messages) {
    const disposition = await stage.handle(message, context)
    assert.ok(disposition.kind === 'settled')
    attempts.push(...disposition.attempts)
  }
  return attempts
}

const said = (attempts: readonly DeliveryAttempt[]): string[] => attempts.map((attempt) => formatReply(attempt.reply))
const mx = (exchange: string, priority: number) => ({ exchange, priority })

/** far.test with one MX, a scripted server. */
async function farTest(options: PoliteOptions = {}, more: Partial<Surroundings> = {}) {
  const taken: TakenMessage[] = []
  const server = await serve(polite(taken, options))
  const zones = { mx: { 'far.test': [mx('mx.far.test', 10)] }, a: { 'mx.far.test': ['127.0.0.1'] } }
  return { taken, server, context: stageContext({ zones, relayPort: server.port, ...more }) }
}

test('recipients of a domain go in one transaction, each with the words of the remote server', async () => {
  const { taken, server, context } = await farTest({
    rcptReply: (line) =>
      line.includes('bad') ? '550 5.1.1 no such user' : line.includes('grey') ? '450 4.7.1 greylisted' : '250 ok',
  })
  const message = stageMessage({
    to: ['jane@far.test', 'bad@far.test', 'grey@far.test'],
    edits: [{ kind: 'prepend', fields: 'Received: by us\r\n' }],
  })
  const attempts = await relayOne(context, message)
  assert.deepEqual(said(attempts), ['250 2.0.0 queued', '550 5.1.1 no such user', '450 4.7.1 greylisted'])
  assert.ok(attempts.every((attempt) => attempt.reached === 'remote'))
  assert.equal(attempts[0]?.remoteMta, `mx.far.test[127.0.0.1]:${server.port}`)
  assert.equal(taken.length, 1)
  assert.equal(taken[0]?.content, 'Received: by us\r\nSubject: Hello\r\n\r\nHow are you?\r\n')
})

test('how a destination took mail is noted for those who look', async (t) => {
  const dataFolder = await mkdtemp(join(tmpdir(), 'sluice-relay-'))
  t.after(() => rm(dataFolder, { recursive: true }))
  const { context } = await farTest(
    { rcptReply: (line) => (line.includes('bad') ? '550 5.1.1 no such user' : '250 ok') },
    { dataFolder },
  )
  const stage = await openRelay(context)
  await stage.handle(stageMessage({ to: ['jane@far.test', 'bad@far.test'] }), context)
  await stage.close()
  const seen = (await readDestinationBook(dataFolder, Date.now())).get('far.test')
  assert.deepEqual(totalOf(seen ?? { hours: [] }), { sent: 1, later: 0, refused: 1 })
  assert.deepEqual(
    seen?.refusals.map(({ replyClass, reply }) => [replyClass, reply]),
    [['unknown-user', '550 5.1.1 no such user']],
  )
  assert.deepEqual([seen?.tls?.session, seen?.policy?.type], [undefined, 'none'])
})

test('what was said with the next host stands with each message where that is asked for, without content', async () => {
  const replies = { rcptReply: (line: string) => (line.includes('bad') ? '550 5.1.1 no such user' : '250 ok') }
  const { context } = await farTest(replies, { smtpTalk: true })
  const message = stageMessage({ to: ['jane@far.test', 'bad@far.test'] })
  const [first, second, third] = await relayOne(context, message, message)
  assert.equal(second?.talk, undefined)
  for (const talk of [first?.talk, third?.talk]) {
    const text = talk?.join('\n') ?? ''
    assert.match(text, /^S: 220 [^]*\nC: EHLO mail\.example\.org\nS: 250/)
    assert.match(
      text,
      /\nC: MAIL FROM:<joe@example\.org>[^]*\nC: RCPT TO:<bad@far\.test>[^]*\nS: 550 5\.1\.1 no such user/,
    )
    assert.match(text, /\nS: 354[^\n]*\nS: 250 2\.0\.0 queued$/)
    assert.doesNotMatch(text, /How are you|MAIL FROM[^]*MAIL FROM/)
  }
  const [plain] = await relayOne((await farTest()).context, stageMessage())
  assert.equal(plain?.talk, undefined)
})

test('messages to the same host share a connection', async () => {
  const { server, context, taken } = await farTest()
  await relayOne(context, stageMessage(), stageMessage(), stageMessage())
  assert.equal(taken.length, 3)
  assert.equal(server.sessions.length, 1)
})

test('the next MX is tried when one is down, busy or gone mid-envelope', async () => {
  const scripts: ((session: ScriptedSession) => Promise<void>)[] = [
    async (session) => session.say('421 4.7.0 busy'),
    async (session) => session.say('554 5.3.2 closed'),
    async (session) => session.hangUp(),
    async (session) => {
      session.say('220 hi')
      await session.line()
      session.say('250-x', '250 PIPELINING')
      await session.line()
      session.hangUp()
    },
  ]
  for (const script of scripts) {
    const taken: TakenMessage[] = []
    const [bad, good] = await serveBoth(script, polite(taken))
    const zones = {
      mx: { 'far.test': [mx('one.far.test', 10), mx('two.far.test', 20)] },
      a: { 'one.far.test': ['127.0.0.1'], 'two.far.test': ['127.0.0.2'] },
    }
    const attempts = await relayOne(stageContext({ zones, relayPort: good.port }), stageMessage())
    assert.deepEqual(said(attempts), ['250 2.0.0 queued'])
    assert.equal(attempts[0]?.remoteMta, `two.far.test[127.0.0.2]:${good.port}`)
    assert.equal(bad.sessions.length, 1)
  }
})

test('a refused recipient is final: the next MX is not asked for a second opinion', async () => {
  const [first, other] = await serveBoth(polite([], { rcptReply: () => '550 5.1.1 no' }), polite([]))
  const zones = {
    mx: { 'far.test': [mx('one', 10), mx('two', 20)] },
    a: { one: ['127.0.0.1'], two: ['127.0.0.2'] },
  }
  assert.deepEqual(said(await relayOne(stageContext({ zones, relayPort: first.port }), stageMessage())), [
    '550 5.1.1 no',
  ])
  assert.equal(other.sessions.length, 0)
})

test('a host that refuses one recipient and hangs up over the next has refused that one only', async () => {
  for (const pipelining of [true, false]) {
    for (const last of ['421 4.7.0 enough', undefined]) {
      const server = await serve(async (session) => {
        session.say('220 hi')
        await session.line()
        session.say('250-x', pipelining ? '250 PIPELINING' : '250 8BITMIME')
        for (const answer of ['250 ok', '550 5.1.1 no such user']) {
          await session.line()
          session.say(answer)
        }
        await session.line()
        if (last !== undefined) session.say(last)
        session.socket.end()
      })
      const context = stageContext({ zones: slowZones, relayPort: server.port })
      const attempts = await relayOne(context, stageMessage({ to: ['nobody@far.test', 'jane@far.test'] }))
      assert.deepEqual(
        attempts.map(({ reply }) => reply.code),
        [550, last === undefined ? 451 : 421],
      )
    }
  }
})

test('IPv4 is tried when IPv6 does not answer', async () => {
  const taken: TakenMessage[] = []
  const server = await serve(polite(taken))
  const zones = { aaaa: { 'far.test': ['::1'] }, a: { 'far.test': ['127.0.0.1'] } }
  const [attempt] = await relayOne(stageContext({ zones, relayPort: server.port }), stageMessage())
  assert.equal(attempt?.reply.code, 250)
  assert.equal(taken.length, 1)
})

test('when no host answers the mail waits, with the reason', async () => {
  const server = await startServer(async () => {})
  await server.close()
  const zones = { a: { 'far.test': ['127.0.0.1'] } }
  const [attempt] = await relayOne(stageContext({ zones, relayPort: server.port }), stageMessage())
  assert.ok(attempt)
  assert.match(
    formatReply(attempt.reply),
    /^451 4\.4\.1 cannot connect to far\.test\[127\.0\.0\.1\]:\d+: connection refused$/,
  )
  assert.equal(attempt.remoteMta, undefined)
})

test('a domain whose every host says never is over at once', async () => {
  const { context } = await farTest({ greeting: '521 5.3.2 this host takes no mail' })
  const [attempt] = await relayOne(context, stageMessage())
  assert.equal(attempt?.reply.code, 521)
})

test('what DNS says decides without a connection', async () => {
  const zones = { mx: { 'null.test': [mx('', 0)], 'slow.test': 'fail' } } as const
  const context = stageContext({ zones })
  const attempts = await relayOne(
    context,
    stageMessage({ destination: 'null.test' }),
    stageMessage({ destination: 'none.test' }),
    stageMessage({ destination: 'slow.test' }),
  )
  assert.deepEqual(
    attempts.map((attempt) => [attempt.reply.code, attempt.reply.enhanced]),
    [
      [556, '5.1.10'],
      [550, '5.1.2'],
      [451, '4.4.3'],
    ],
  )
})

test('mail never goes round in a circle through our own listener', async () => {
  const { server, context } = await farTest()
  const listeners = [{ on: '127.0.0.1', port: server.port }]
  const own = { ...context, configuration: { ...context.configuration, listeners } } as unknown as StageContext
  const [attempt] = await relayOne(own, stageMessage())
  assert.deepEqual([attempt?.reply.code, attempt?.reply.enhanced], [554, '5.4.6'])
  assert.equal(server.sessions.length, 0)
})

test('a backup sends to better hosts than the one it stands for, and to no other', async () => {
  const taken: TakenMessage[] = []
  const [better, worse] = await serveBoth(polite(taken), polite([]))
  const zones = {
    mx: { 'far.test': [mx('best', 5), mx('US', 10), mx('worse', 20)] },
    a: { best: ['127.0.0.1'], us: ['192.0.2.1'], worse: ['127.0.0.2'] },
  }
  const action = relayAction({ backup: { mx: 'us' } })
  assert.deepEqual(said(await relayOne(stageContext({ zones, relayPort: better.port, action }), stageMessage())), [
    '250 2.0.0 queued',
  ])
  await better.close()
  const [waits] = said(await relayOne(stageContext({ zones, relayPort: worse.port, action }), stageMessage()))
  assert.match(waits ?? '', /^451 4\.4\.1 cannot connect to best/)
  assert.deepEqual([taken.length, worse.sessions.length], [1, 0])
})

test('DSN parameters are passed on to a server that offers DSN, and it is said that they were', async () => {
  const { taken, context } = await farTest({ capabilities: ['PIPELINING', 'DSN'] })
  const envelope = {
    dsn: { ret: 'hdrs', envid: 'abc' },
    recipients: [{ mailbox: 'jane@far.test' as Mailbox, notify: ['success'], orcpt: 'rfc822;jane@far.test' }],
  } as const
  const [attempt] = await relayOne(context, stageMessage({ envelope }))
  assert.equal(attempt?.dsnPassedOn, true)
  assert.equal(taken[0]?.mail, 'MAIL FROM:<joe@example.org> RET=HDRS ENVID=abc')
  assert.deepEqual(taken[0].rcpt, ['RCPT TO:<jane@far.test> NOTIFY=SUCCESS ORCPT=rfc822;jane@far.test'])
  const plain = await farTest()
  assert.equal((await relayOne(plain.context, stageMessage({ envelope })))[0]?.dsnPassedOn, false)
})

test('SMTPUTF8 is demanded where an address or the header needs it, and only there', async () => {
  const { taken, context } = await farTest({ capabilities: ['PIPELINING', 'SMTPUTF8'] })
  const plain = await farTest()
  const asciiOnly = stageMessage({ envelope: { smtputf8: true } })
  const header = stageMessage({ envelope: { smtputf8: true }, content: 'Subject: Grüße\r\n\r\n' })
  const address = stageMessage({ to: ['jörg@far.test'], envelope: { smtputf8: true } })
  const hidden = stageMessage({ envelope: { smtputf8: true }, content: 'Comments: Grüße\r\n\r\n' })
  const attached = { ...hidden, edits: [safeReport(hidden.envelope.id, ['junk'])] }
  assert.ok(
    said(await relayOne(context, asciiOnly, header, address, attached)).every((reply) => reply.startsWith('250')),
  )
  assert.deepEqual(
    taken.map(({ mail }) => mail.includes('SMTPUTF8')),
    [false, true, true, true],
  )
  const replies = said(await relayOne(plain.context, asciiOnly, header, address))
  assert.deepEqual(
    replies.map((reply) => reply.slice(0, 9)),
    ['250 2.0.0', '553 5.6.7', '553 5.6.7'],
  )
})

test('one address beyond ASCII does not keep a host without SMTPUTF8 from getting the message for the others', async () => {
  const { taken, context } = await farTest()
  const message = stageMessage({ to: ['jörg@far.test', 'jane@far.test', 'zoë@far.test'], envelope: { smtputf8: true } })
  assert.deepEqual(
    said(await relayOne(context, message)).map((reply) => reply.slice(0, 9)),
    ['553 5.6.7', '250 2.0.0', '553 5.6.7'],
  )
  assert.deepEqual(taken[0]?.rcpt, ['RCPT TO:<jane@far.test>'])
})

test('smarthosts are used in turn, and one that is down does not stop the mail', async () => {
  const [one, two]: [TakenMessage[], TakenMessage[]] = [[], []]
  const first = await serve(polite(one))
  const second = await serve(polite(two))
  const down = await startServer(async () => {})
  await down.close()
  const hosts = [first, second, down].map((server) => `smtp://127.0.0.1:${server.port}`)
  const action = relayAction({ host: listTable('hosts', hosts) })
  const messages = Array.from({ length: 6 }, () => stageMessage({ to: ['a@one.test', 'b@two.test'] }))
  const attempts = await relayOne(stageContext({ action }), ...messages)
  assert.ok(attempts.every((attempt) => attempt.reply.code === 250))
  assert.equal(one.length + two.length, 6)
  assert.ok(one.length >= 2 && two.length >= 2)
})

test('an offer of STARTTLS that is not used is told with the attempt', async () => {
  const pem = await selfSignedCertificate('localhost')
  const offering = await serve(polite([], { tls: pem }))
  const plain = await serve(polite([]))
  const attemptBy = async (url: string) => {
    const [attempt] = await relayOne(
      stageContext({ action: relayAction({ host: listTable('hosts', [url]) }) }),
      stageMessage(),
    )
    assert.equal(attempt?.reply.code, 250)
    return [attempt?.tls !== undefined, attempt?.tlsUnused === true]
  }
  assert.deepEqual(await attemptBy(`smtp+notls://127.0.0.1:${offering.port}`), [false, true])
  assert.deepEqual(await attemptBy(`smtp://127.0.0.1:${offering.port}`), [true, false])
  assert.deepEqual(await attemptBy(`smtp://127.0.0.1:${plain.port}`), [false, false])
})

test('a smarthost gets the password of its label, inside verified TLS only', async () => {
  const pem = await selfSignedCertificate('localhost')
  const folder = await mkdtemp(join(tmpdir(), 'sluice-relay-'))
  closing.push(() => rm(folder, { recursive: true }))
  await writeFile(join(folder, 'ca.pem'), pem.cert)
  const taken: TakenMessage[] = []
  const auth: string[] = []
  const server = await serve(async (session, index) => {
    session.say('220 hi')
    await session.line()
    session.say('250-x', '250 STARTTLS')
    await session.line()
    session.say('220 go')
    await session.startTls(pem.cert, pem.key)
    if ((await session.line()) === undefined) return
    session.say('250-x', '250-PIPELINING', '250 AUTH PLAIN')
    auth.push((await session.line()) ?? '')
    session.say('235 ok')
    for (let count = 0; count < 3; count++) await session.line()
    session.say('250 ok', '250 ok', '354 go')
    taken.push({ mail: '', rcpt: [], content: (await session.content()) ?? '', connection: index })
    session.say('250 2.0.0 sent')
  })
  const host = listTable('hosts', [`smtp+tls://isp@localhost:${server.port}`])
  const trusting = relayAction({ host, auth: listTable('secrets', []), ca: 'test' })
  const surroundings = {
    logins: { isp: { user: 'jane', password: 'secret' } },
    cas: new Map([['test', join(folder, 'ca.pem')]]),
  }
  const attempts = await relayOne(stageContext({ ...surroundings, action: trusting }), stageMessage())
  assert.deepEqual(said(attempts), ['250 2.0.0 sent'])
  assert.deepEqual(attempts[0]?.tls, { session: 'TLSv1.3 TLS_AES_256_GCM_SHA384', trust: 'verified' })
  assert.deepEqual(auth, [`AUTH PLAIN ${Buffer.from('\0jane\0secret').toString('base64')}`])

  const doubting = relayAction({ host, auth: listTable('secrets', []) })
  const [untrusted] = said(await relayOne(stageContext({ ...surroundings, action: doubting }), stageMessage()))
  assert.match(untrusted ?? '', /^451 4\.7\.5 /)
  const [unlabelled] = said(
    await relayOne(stageContext({ ...surroundings, action: doubting, logins: {} }), stageMessage()),
  )
  assert.match(unlabelled ?? '', /^451 4\.3\.5 .*"isp"/)
  assert.equal(auth.length, 1)

  const order = { kind: 'host', url: `smtp+tls://isp@localhost:${server.port}` } as const
  const toMx = relayAction({ auth: listTable('secrets', []), ca: 'test' })
  const ordered = await relayOne(
    stageContext({ ...surroundings, action: toMx }),
    stageMessage({ order, destination: order.url }),
  )
  assert.deepEqual([said(ordered), auth.length], [['250 2.0.0 sent'], 2], 'an operator names the host')
})

test('REQUIRETLS: only over TLS with a trusted certificate to a host that offers it too, or back to the sender', async () => {
  const pem = await selfSignedCertificate('localhost')
  const folder = await mkdtemp(join(tmpdir(), 'sluice-relay-'))
  closing.push(() => rm(folder, { recursive: true }))
  await writeFile(join(folder, 'ca.pem'), pem.cert)
  const taken: TakenMessage[] = []
  const inTls = (offer: string) =>
    serve(async (session, index) => {
      session.say('220 hi')
      await session.line()
      session.say('250-x', '250 STARTTLS')
      await session.line()
      session.say('220 go')
      await session.startTls(pem.cert, pem.key)
      if ((await session.line()) === undefined) return
      session.say('250-x', '250-PIPELINING', `250 ${offer}`)
      const mail = (await session.line()) ?? ''
      if (mail.startsWith('QUIT')) return
      for (let count = 0; count < 2; count++) await session.line()
      session.say('250 ok', '250 ok', '354 go')
      taken.push({ mail, rcpt: [], content: (await session.content()) ?? '', connection: index })
      session.say('250 2.0.0 sent')
    })
  const able = await inTls('REQUIRETLS')
  const unable = await inTls('DSN')
  const plain = await serve(polite(taken, { capabilities: ['PIPELINING', 'REQUIRETLS'] }))
  const message = stageMessage({ envelope: { requireTls: true } })
  const reply = async (ports: number | readonly number[], more: Partial<RelayAction>) => {
    const host = listTable(
      'hosts',
      [ports].flat().map((port) => `smtp://localhost:${port}`),
    )
    const cas = new Map([['test', join(folder, 'ca.pem')]])
    const [answer] = said(await relayOne(stageContext({ action: relayAction({ host, ...more }), cas }), message))
    return answer?.slice(0, 10)
  }
  assert.equal(await reply(able.port, { ca: 'test' }), '250 2.0.0 ')
  assert.match(taken[0]?.mail ?? '', / REQUIRETLS/)
  assert.equal(await reply(able.port, {}), '550 5.7.30')
  assert.equal(await reply(unable.port, { ca: 'test' }), '550 5.7.30')
  assert.equal(await reply(plain.port, {}), '550 5.7.30')
  assert.equal(taken.length, 1)
  // A host that does not offer it is passed over for one that does (RFC 8689 §4.2.1).
  const hosts = { ca: 'test', hostsInOrder: true } as const
  assert.equal(await reply([plain.port, unable.port, able.port], hosts), '250 2.0.0 ')
  assert.equal(await reply([unable.port, plain.port], hosts), '550 5.7.30')
  assert.equal(taken.length, 2)
})

test('an LMTP host answers for each recipient', async () => {
  const taken: TakenMessage[] = []
  const finals = ['250 2.0.0 one', '452 4.2.2 full']
  const server = await serve(polite(taken, { protocol: 'lmtp', finalReply: (_, index) => finals[index] ?? '' }))
  const action = relayAction({ host: listTable('hosts', [`lmtp://127.0.0.1:${server.port}`]) })
  const attempts = await relayOne(stageContext({ action }), stageMessage({ to: ['a@x.test', 'b@x.test'] }))
  assert.deepEqual(said(attempts), finals)
})

test('an external content filter is where pipeline.conf says', async () => {
  const taken: TakenMessage[] = []
  const server = await serve(polite(taken))
  const at = { file: 'pipeline.conf', line: 1, column: 1 }
  const externals = [{ url: 'smtp://localhost:10024', host: '127.0.0.1', port: server.port, at }]
  const action = relayAction({ host: listTable('hosts', ['smtp://127.0.0.1:10024']) })
  await relayOne(stageContext({ action, externals }), stageMessage())
  assert.equal(taken.length, 1)
})

test('mail-from replaces a sender, but never the null reverse-path', async () => {
  const { taken, context } = await farTest(
    {},
    { action: relayAction({ mailFrom: 'us@example.org', helo: 'other.example.org' }) },
  )
  await relayOne(context, stageMessage(), stageMessage({ envelope: { reversePath: null } }))
  assert.deepEqual(
    taken.map(({ mail }) => mail.replace(/ SIZE.*/, '')),
    ['MAIL FROM:<us@example.org>', 'MAIL FROM:<>'],
  )
})

test('as of the old grammar replaces one half of the sender', async () => {
  for (const [mailFrom, sender] of [
    ['@example.net', 'joe@example.net'],
    ['bounces', 'bounces@example.org'],
  ] as const) {
    const { taken, context } = await farTest({}, { action: relayAction({ mailFrom }) })
    await relayOne(context, stageMessage(), stageMessage({ envelope: { reversePath: null } }))
    assert.deepEqual(
      taken.map(({ mail }) => mail.replace(/ SIZE.*/, '')),
      [`MAIL FROM:<${sender}>`, 'MAIL FROM:<>'],
    )
  }
})

test('hosts of secure:// are not used in turn: TLS from the start first, each time', async () => {
  const [one, two]: [TakenMessage[], TakenMessage[]] = [[], []]
  const [first, second] = [await serve(polite(one)), await serve(polite(two))]
  const host = listTable('hosts', [`smtp://127.0.0.1:${first.port}`, `smtp://127.0.0.1:${second.port}`])
  const context = stageContext({ action: relayAction({ host, hostsInOrder: true }) })
  await relayOne(context, stageMessage(), stageMessage(), stageMessage())
  assert.deepEqual([one.length, two.length], [3, 0])
})

test('srs: what an alias sent on has a sender of ours for the next host, other mail of the same message its own', async () => {
  const srs = { key: 'topsecret', ttlDays: 4 }
  const { taken, context } = await farTest({}, { action: relayAction({ srs: true }), srs })
  const recipients = [
    { mailbox: 'jane@far.test' as Mailbox },
    { mailbox: 'ann@far.test' as Mailbox, original: 'list@exem.pl' as Mailbox },
    { mailbox: 'bob@far.test' as Mailbox, original: 'list@exem.pl' as Mailbox },
  ]
  const message = stageMessage({ to: ['a', 'b', 'c'], envelope: { recipients } })
  const attempts = await relayOne(context, message)
  assert.deepEqual(
    attempts.map(({ recipient, reply }) => [recipient, reply.code]),
    [
      [0, 250],
      [1, 250],
      [2, 250],
    ],
  )
  const senders = taken.map(({ mail }) => /<(.*)>/.exec(mail)?.[1] ?? '')
  assert.equal(senders[0], 'joe@example.org')
  assert.match(senders[1] ?? '', /^SRS0=.{4}=[A-Z2-7]{2}=example\.org=joe@exem\.pl$/)
  assert.deepEqual(
    taken.map(({ rcpt }) => rcpt.length),
    [1, 2],
  )
  // What we report ourselves goes to the author.
  assert.equal(message.envelope.reversePath, 'joe@example.org')
  await relayOne(context, stageMessage({ envelope: { recipients, reversePath: null } }))
  assert.match(taken[2]?.mail ?? '', /^MAIL FROM:<>/)
})

/** A server that answers the final dot when `finish` is called. */
async function slowServer() {
  const waiting: (() => void)[] = []
  let arrived: (() => void) | undefined
  const server = await serve(async (session) => {
    session.say('220 hi')
    await session.line()
    session.say('250 x')
    for (;;) {
      const line = await session.line()
      if (line === undefined) return
      if (line !== 'DATA') {
        session.say('250 ok')
        continue
      }
      session.say('354 go')
      await session.content()
      arrived?.()
      await new Promise<void>((resolve) => {
        waiting.push(resolve)
      })
      session.say('250 2.0.0 sent')
    }
  })
  const nextArrival = () =>
    new Promise<void>((resolve) => {
      arrived = resolve
    })
  return { server, nextArrival, finish: () => waiting.shift()?.() }
}

const slowZones = { a: { 'far.test': ['127.0.0.1'] } }

test('a host that gives no session is left alone, and mail for it waits without counting as tried', async () => {
  const bad = await serve(async (session) => session.say('421 4.7.0 busy'))
  const clock = { at: Date.now(), now: () => clock.at }
  const context = stageContext({ zones: slowZones, relayPort: bad.port, clock })
  const stage = await openRelay(context)
  closing.push(() => stage.close())
  const first = await stage.handle(stageMessage(), context)
  assert.equal(first.kind, 'settled')
  const second = await stage.handle(stageMessage(), context)
  assert.ok(second.kind === 'postpone')
  assert.equal(second.delayMs, 15_000)
  assert.equal(bad.sessions.length, 1)
  clock.at += 15_000
  assert.equal((await stage.handle(stageMessage(), context)).kind, 'settled')
  assert.equal(bad.sessions.length, 2)
})

test('a host that says never does not end the mail while another one is only passed over', async () => {
  const [never] = await serveBoth(
    async (session) => session.say('554 5.3.2 closed'),
    async (session) => session.say('421 busy'),
  )
  const zones = {
    mx: { 'far.test': [mx('down', 10), mx('never', 20)], 'down.test': [mx('down', 10)] },
    a: { never: ['127.0.0.1'], down: ['127.0.0.2'] },
  }
  const context = stageContext({ zones, relayPort: never.port })
  const stage = await openRelay(context)
  closing.push(() => stage.close())
  await stage.handle(stageMessage({ destination: 'down.test' }), context)
  assert.equal((await stage.handle(stageMessage(), context)).kind, 'postpone')
})

test('max-conn-per-source holds over all destinations, and an idle connection makes room', async () => {
  const taken: TakenMessage[] = []
  const { server, nextArrival, finish } = await withNeighbour(slowServer, polite(taken))
  const zones = { a: { 'far.test': ['127.0.0.1'], 'other.test': ['127.0.0.2'] } }
  const limits = { 'max-conn-per-source': 1 }
  const context = stageContext({ zones, relayPort: server.port, limits })
  const stage = await openRelay(context)
  closing.push(() => stage.close())
  const arrival = nextArrival()
  const first = stage.handle(stageMessage(), context)
  await arrival
  const other = stageMessage({ destination: 'other.test', to: ['ann@other.test'] })
  const refused = await stage.handle(other, context)
  assert.ok(refused.kind === 'postpone')
  assert.match(refused.reason, /max-conn-per-source 1/)
  finish()
  assert.equal((await first).kind, 'settled')
  // The connection to the first host is idle now and has to go.
  const idle = server.whenIdle()
  let result = await stage.handle(other, context)
  assert.equal(result.kind, 'postpone')
  await idle
  while (result.kind === 'postpone') {
    await nextTurn()
    result = await stage.handle(other, context)
  }
  assert.equal(result.kind, 'settled')
  assert.equal(taken.length, 1)
})

test('connections to a host keep their distance', async () => {
  const clock = { at: Date.now(), now: () => clock.at }
  const limits = { 'conn-delay-host': 5, 'session-mail-max': 1 }
  const { taken, context } = await farTest({}, { limits, clock })
  const stage = await openRelay(context)
  closing.push(() => stage.close())
  assert.equal((await stage.handle(stageMessage(), context)).kind, 'settled')
  const second = await stage.handle(stageMessage(), context)
  assert.ok(second.kind === 'postpone')
  assert.equal(second.delayMs, 5_000)
  clock.at += 5_000
  assert.equal((await stage.handle(stageMessage(), context)).kind, 'settled')
  assert.deepEqual(
    taken.map(({ connection }) => connection),
    [0, 1],
  )
})

test('a session ends after so many messages, or so many refused recipients', async () => {
  for (const limits of [{ 'session-mail-max': 2 }, { 'max-failures-per-session': 2 }]) {
    const options = 'session-mail-max' in limits ? {} : { rcptReply: () => '550 5.1.1 no' }
    const { server, context } = await farTest(options, { limits })
    await relayOne(context, stageMessage(), stageMessage(), stageMessage())
    assert.equal(server.sessions.length, 2)
  }
})

test('inet6 leaves the IPv4 addresses out', async () => {
  const { taken, context } = await farTest({}, { family: 6 })
  assert.match(said(await relayOne(context, stageMessage()))[0] ?? '', /^451 4\.3\.5 .*family/)
  assert.equal(taken.length, 0)
})

test('max-conn-per-domain is asked of all processes: a message without a slot takes no worker', async () => {
  const calls: string[] = []
  let granted = false
  const lanes = {
    acquire: async (destination: string, limit: number) => {
      calls.push(`acquire ${destination} ${limit}`)
      return { granted, parked: 0 }
    },
    release: async (destination: string) => void calls.push(`release ${destination}`),
  }
  const { taken, context } = await farTest({}, { limits: { 'max-conn-per-domain': 3 }, lanes })
  const stage = await openRelay(context)
  closing.push(() => stage.close())
  const waits = await stage.handle(stageMessage(), context)
  assert.ok(waits.kind === 'postpone')
  assert.deepEqual(waits.lane, { destination: 'relay far.test', limit: 3 })
  granted = true
  assert.equal((await stage.handle(stageMessage(), context)).kind, 'settled')
  assert.equal(taken.length, 1)
  assert.deepEqual(calls, ['acquire relay far.test 3', 'acquire relay far.test 3', 'release relay far.test'])
})

test('mail that is put off by the rate of a lane calls no other mail that waits for it', async () => {
  const released: (boolean | undefined)[] = []
  const lanes = {
    acquire: async () => ({ granted: true, parked: 0 }),
    release: async (_destination: string, _holder: string, bringNext?: boolean) => void released.push(bringNext),
    bringNext: () => assert.fail('it was called'),
  }
  const waits = [5_000, 0]
  const rateGate = { take: async () => waits.shift() ?? 0 }
  const lane = { backOff: 'off', concurrency: 2, messages: { count: 1, periodMs: 1_000 } } as const
  const { context } = await farTest({}, { lanes, rateGate, lane })
  const stage = await openRelay(context)
  closing.push(() => stage.close())
  assert.equal((await stage.handle(stageMessage(), context)).kind, 'postpone')
  assert.equal((await stage.handle(stageMessage(), context)).kind, 'settled')
  assert.deepEqual(released, [false, true])
})

test('a lane has its concurrency for all domains with these mail servers', async () => {
  const acquired: string[] = []
  const lanes = {
    acquire: async (destination: string, limit: number) => {
      acquired.push(`${destination} ${limit}`)
      return { granted: false, parked: 0 }
    },
    release: async () => {},
  }
  const zones = { mx: { 'a.test': [mx('x.cloud.test', 10)], 'b.test': [mx('y.cloud.test', 10)] } }
  const mxLanes = new Map([['*.cloud.test', { concurrency: 4 }]])
  const context = stageContext({ zones, lanes, mxLanes, limits: { 'max-conn-per-domain': 9 } })
  const stage = await openRelay(context)
  closing.push(() => stage.close())
  for (const destination of ['a.test', 'b.test']) {
    const waits = await stage.handle(stageMessage({ destination }), context)
    assert.ok(waits.kind === 'postpone' && waits.laneName === '*.cloud.test')
  }
  assert.deepEqual(acquired, ['relay *.cloud.test 4', 'relay *.cloud.test 4'])
})

test('mail that waited by an old MX brings the others back as soon as it got through by the new one', async () => {
  const broughtBack: string[] = []
  const bringNext = async (destination: string): Promise<boolean> => {
    if (destination.startsWith('back-off ')) broughtBack.push(destination)
    return false
  }
  const { context } = await farTest({}, { lanes: { bringNext } })
  await relayOne(context, stageMessage(), { ...stageMessage(), lane: 'mx.far.test' })
  assert.deepEqual(broughtBack, [], 'it came by the same')
  await relayOne(context, { ...stageMessage(), lane: 'mx.old.test' })
  assert.deepEqual(broughtBack, ['back-off mx.old.test'])
})

test('a slow destination does not take all workers', async () => {
  const { server, nextArrival, finish } = await slowServer()
  const brought: string[] = []
  const lanes = { bringNext: async (destination: string) => brought.push(destination) > 1 }
  const context = stageContext({ zones: slowZones, relayPort: server.port, concurrency: 2, lanes })
  const stage = await openRelay(context)
  closing.push(() => stage.close())
  const arrival = nextArrival()
  const first = stage.handle(stageMessage(), context)
  await arrival
  const waits = await stage.handle(stageMessage(), context)
  assert.ok(waits.kind === 'postpone')
  assert.deepEqual(brought, [])
  finish()
  assert.equal((await first).kind, 'settled')
  assert.deepEqual(brought, [waits.lane?.destination], 'who is done brings the next one')
  const arrivalAgain = nextArrival()
  const again = stage.handle(stageMessage(), context)
  await arrivalAgain
  finish()
  assert.equal((await again).kind, 'settled')
  assert.equal(brought.length, 1, 'none waited')
})

test('an action that is gone means later', async () => {
  const { context } = await farTest()
  const [attempt] = await relayOne(context, { ...stageMessage(), action: 'gone' })
  assert.deepEqual([attempt?.reply.code, attempt?.reply.enhanced], [451, '4.3.5'])
})

const old = { capabilities: ['PIPELINING', 'SIZE 50000000'] }
const umlauts = 'Subject: x\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße von weit her\r\n'
const signedUmlauts = `DKIM-Signature: v=1; a=rsa-sha256\r\n${umlauts}`

test('a host without 8BITMIME gets the same text in quoted-printable, with the size it has then', async () => {
  const { taken, context } = await farTest(old)
  await relayOne(context, stageMessage({ content: umlauts, envelope: { eightBit: true } }), stageMessage())
  const [first, second] = taken
  assert.equal(
    first?.content,
    'Subject: x\r\nContent-Transfer-Encoding: quoted-printable\r\nMIME-Version: 1.0\r\n\r\nGr=C3=BC=C3=9Fe von weit her\r\n',
  )
  assert.equal(first?.mail, `MAIL FROM:<joe@example.org> SIZE=${first?.content.length}`)
  assert.equal(second?.content, 'Subject: Hello\r\n\r\nHow are you?\r\n')
})

test('a large message is converted as it streams by, and is the same on each host that is tried', async () => {
  const line = 'Ein Satz mit Umlauten wie ä, ö und ü, und ohne Ende\r\n'
  const content = `Subject: x\r\nMIME-Version: 1.0\r\n\r\n${line.repeat(20_000)}`
  const { taken, context } = await farTest(old)
  await relayOne(context, stageMessage({ content }))
  const sent = taken[0]?.content ?? ''
  assert.equal(taken[0]?.mail, `MAIL FROM:<joe@example.org> SIZE=${sent.length}`)
  const hex = (_all: string, digits: string): string => String.fromCharCode(Number.parseInt(digits, 16))
  const body = sent.slice(sent.indexOf('\r\n\r\n') + 4).replaceAll('=\r\n', '')
  const decoded = Buffer.from(body.replaceAll(/=([0-9A-F]{2})/g, hex), 'latin1').toString()
  assert.equal(decoded, line.repeat(20_000))
})

test('a signed message goes to it as it is, unless all are to be converted', async () => {
  for (const [eightBit, expected] of [
    ['convert', 'Grüße'],
    ['convert-signed', 'Gr=C3=BC=C3=9Fe'],
    ['unchanged', 'Grüße'],
  ] as const) {
    const { taken, context } = await farTest(old, { eightBit })
    const signature = { kind: 'prepend', fields: 'DKIM-Signature: v=1; a=rsa-sha256\r\n' } as const
    await relayOne(
      context,
      stageMessage({ content: signedUmlauts }),
      stageMessage({ content: umlauts, edits: [signature] }),
    )
    for (const { content } of taken) assert.ok(Buffer.from(content, 'latin1').toString().includes(expected), eightBit)
    assert.equal(taken.length, 2)
  }
})

test('it can be returned in place of that, and the host is not bothered with it', async () => {
  const { taken, context } = await farTest(old, { eightBit: 'return' })
  const attempts = await relayOne(context, stageMessage({ content: umlauts }), stageMessage())
  assert.match(said(attempts)[0] ?? '', /^554 5\.6\.3 /)
  assert.equal(said(attempts)[1], '250 2.0.0 queued')
  assert.equal(taken.length, 1)
})

test('a host with 8BITMIME gets all octets as they are', async () => {
  const { taken, context } = await farTest()
  await relayOne(context, stageMessage({ content: umlauts, envelope: { eightBit: true } }))
  assert.equal(Buffer.from(taken[0]?.content ?? '', 'latin1').toString(), umlauts)
  assert.match(taken[0]?.mail ?? '', / BODY=8BITMIME$/)
})
