import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import fc from 'fast-check'

import type { Mailbox } from '../mail/address.ts'
import { formatReply } from '../mail/reply.ts'
import { selfSignedCertificate } from '../start/self-signed.ts'
import { OpenError } from './client-error.ts'
import type { SmtpConnection } from './connection.ts'
import { openConnection, plainText } from './open-connection.ts'
import type { OpenOptions, TlsOutcome } from './open-connection.ts'
import { polite, startServer } from './testing.ts'
import type { PoliteOptions, ScriptedServer, ScriptedSession, TakenMessage } from './testing.ts'
import type { Transaction } from './transaction.ts'

const servers: ScriptedServer[] = []
after(() => Promise.all(servers.map((server) => server.close())))

async function serve(script: (session: ScriptedSession, index: number) => Promise<void>): Promise<ScriptedServer> {
  const server = await startServer(script)
  servers.push(server)
  return server
}

function connectTo(server: ScriptedServer, options: Partial<OpenOptions> = {}): Promise<SmtpConnection> {
  return openConnection({
    endpoint: { kind: 'tcp', host: 'localhost', address: '127.0.0.1', port: server.port },
    protocol: 'smtp',
    helo: 'client.test',
    tls: plainText,
    ...options,
  })
}

function message(content: string | AsyncIterable<Buffer>, ...recipients: string[]): Transaction {
  return {
    mail: { reversePath: 'a@b.example' as Mailbox, sizeBytes: 10, eightBit: false, smtpUtf8: false },
    recipients: (recipients.length === 0 ? ['c@d.example'] : recipients).map((address) => ({ address })),
    content: () => (typeof content === 'string' ? [Buffer.from(content)] : content),
  }
}

async function sendOnce(options: PoliteOptions, transaction: Transaction) {
  const taken: TakenMessage[] = []
  const server = await serve(polite(taken, options))
  const connection = await connectTo(server, { protocol: options.protocol ?? 'smtp' })
  const result = await connection.send(transaction)
  return { taken, result, connection, server, said: result.replies.map((reply) => formatReply(reply)) }
}

for (const capabilities of [['PIPELINING'], ['8BITMIME']]) {
  test(`many messages go over one connection, with ${capabilities[0]}`, async () => {
    const taken: TakenMessage[] = []
    const server = await serve(polite(taken, { capabilities }))
    const connection = await connectTo(server)
    for (let count = 0; count < 5; count++) {
      const { replies } = await connection.send(message(`n: ${count}\r\n\r\n..x\r\n.\r\n`))
      assert.deepEqual(replies, [{ code: 250, enhanced: '2.0.0', text: 'queued' }])
    }
    await connection.close()
    assert.equal(taken.length, 5)
    assert.equal(taken[4]?.content, 'n: 4\r\n\r\n...x\r\n..\r\n')
    assert.equal(server.sessions.length, 1)
  })

  test(`a refused recipient does not keep the message from the others, with ${capabilities[0]}`, async () => {
    const rcptReply = (line: string): string =>
      line.includes('bad') ? '550 5.1.1 no' : line.includes('later') ? '450 4.2.0 later' : '250 ok'
    const { said, taken, connection } = await sendOnce(
      { capabilities, rcptReply },
      message('x\r\n', 'bad@d.example', 'good@d.example', 'later@d.example', 'fine@d.example'),
    )
    assert.deepEqual(said, ['550 5.1.1 no', '250 2.0.0 queued', '450 4.2.0 later', '250 2.0.0 queued'])
    assert.deepEqual(taken[0]?.rcpt, ['RCPT TO:<good@d.example>', 'RCPT TO:<fine@d.example>'])
    await connection.close()
  })

  test(`after a refused message the next one goes over the same connection, with ${capabilities[0]}`, async () => {
    const taken: TakenMessage[] = []
    const refuse = new Set(['MAIL FROM:<a@b.example>'])
    const mailReply = (line: string): string => (refuse.delete(line) ? '451 4.7.1 not now' : '250 ok')
    const server = await serve(polite(taken, { capabilities, mailReply }))
    const connection = await connectTo(server)
    const first = await connection.send(message('x\r\n', 'c@d.example', 'e@d.example'))
    assert.deepEqual(
      first.replies.map((reply) => reply.code),
      [451, 451],
    )
    assert.equal((await connection.send(message('y\r\n'))).replies[0]?.code, 250)
    assert.deepEqual(
      taken.map((one) => one.content),
      ['y\r\n'],
    )
    await connection.close()
  })

  test(`a refused DATA is the answer for all accepted recipients, with ${capabilities[0]}`, async () => {
    const { said, connection } = await sendOnce(
      { capabilities, dataReply: '451 4.3.0 disk', rcptReply: (line) => (line.includes('bad') ? '550 no' : '250 ok') },
      message('x\r\n', 'bad@d.example', 'c@d.example'),
    )
    assert.deepEqual(said, ['550 no', '451 4.3.0 disk'])
    assert.ok(connection.isOpen)
    await connection.close()
  })
}

test('354 although all recipients were refused is answered by a lone dot, and the connection lives on', async () => {
  const contents: (string | undefined)[] = []
  const server = await serve(async (session) => {
    session.say('220 hi')
    await session.line()
    session.say('250-x', '250 PIPELINING')
    for (let round = 0; round < 2; round++) {
      let line = await session.line()
      if (line === 'RSET') {
        session.say('250 reset')
        line = await session.line()
      }
      assert.match(line ?? '', /^MAIL/)
      await session.line()
      await session.line()
      session.say('250 ok', round === 0 ? '550 5.1.1 nobody' : '250 ok', '354 go')
      contents.push(await session.content())
      session.say(round === 0 ? '554 no recipients' : '250 done')
    }
  })
  const connection = await connectTo(server)
  assert.equal((await connection.send(message('x\r\n'))).replies[0]?.code, 550)
  assert.equal((await connection.send(message('y\r\n'))).replies[0]?.code, 250)
  assert.deepEqual(contents, ['', 'y\r\n'])
  await connection.close()
})

test('354 although MAIL was refused gets no dot: that could become an empty message', async () => {
  const server = await serve(async (session) => {
    session.say('220 hi')
    await session.line()
    session.say('250-x', '250 PIPELINING')
    for (let count = 0; count < 3; count++) await session.line()
    session.say('550 5.7.1 not you', '250 ok', '354 go')
    assert.equal(await session.content(), undefined)
  })
  const connection = await connectTo(server)
  const { replies } = await connection.send(message('x\r\n'))
  assert.equal(replies[0]?.code, 550)
  assert.ok(!connection.isOpen)
  await server.whenIdle()
})

test('LMTP: each accepted recipient has its own answer behind the dot', async () => {
  const finals = new Map([
    ['RCPT TO:<full>', '452 4.2.2 over quota'],
    ['RCPT TO:<gone>', '550 5.2.1 closed'],
  ])
  const { said, connection } = await sendOnce(
    {
      protocol: 'lmtp',
      rcptReply: (line) => (line.includes('nobody') ? '550 5.1.1 unknown' : '250 ok'),
      finalReply: (rcpt) => finals.get(rcpt) ?? '250 2.0.0 saved',
    },
    message('x\r\n', 'full', 'nobody', 'jane', 'gone'),
  )
  assert.deepEqual(said, ['452 4.2.2 over quota', '550 5.1.1 unknown', '250 2.0.0 saved', '550 5.2.1 closed'])
  await connection.close()
})

test('LMTP: those whose answer was lost are temporary, the others keep theirs', async () => {
  const server = await serve(async (session) => {
    session.say('220 hi')
    await session.line()
    session.say('250-x', '250 PIPELINING')
    for (let count = 0; count < 4; count++) await session.line()
    session.say('250 ok', '250 ok', '250 ok', '354 go')
    await session.content()
    session.socket.end('250 2.0.0 saved\r\n')
  })
  const connection = await connectTo(server, { protocol: 'lmtp' })
  const { replies } = await connection.send(message('x\r\n', 'jane', 'joe'))
  assert.equal(replies[0]?.code, 250)
  assert.equal(replies[1]?.code, 451)
  assert.match(
    replies[1]?.text ?? '',
    /lost connection with localhost\[127\.0\.0\.1\]:\d+ while sending the end of the message; it may have taken/,
  )
})

test('a socket path can be the server', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-lmtp-'))
  const path = join(folder, 'lmtp')
  const taken: TakenMessage[] = []
  const server = await startServer(polite(taken, { protocol: 'lmtp' }), { path })
  servers.push(server)
  const connection = await connectTo(server, { endpoint: { kind: 'unix', path }, protocol: 'lmtp' })
  assert.equal((await connection.send(message('x\r\n', 'jane'))).replies[0]?.code, 250)
  assert.equal(connection.peer, path)
  await connection.close()
  await rm(folder, { recursive: true })
})

test('a large message streams in chunks and arrives whole', async () => {
  async function* chunks(): AsyncGenerator<Buffer> {
    for (let count = 0; count < 64; count++) yield Buffer.from(`${'.'.repeat(60)} ${count}\r\n`.repeat(1000))
  }
  const { taken, result, connection } = await sendOnce({}, message(chunks()))
  assert.equal(result.replies[0]?.code, 250)
  const [one] = taken
  let expected = ''
  for await (const chunk of chunks()) expected += chunk.toString('latin1')
  assert.equal(one?.content.replaceAll(/^\./gm, ''), expected)
  await connection.close()
})

test('content with a bare line feed is refused for good before anything is said', async () => {
  const { said, taken, connection } = await sendOnce({}, message('a\nb\r\n'))
  assert.match(said[0] ?? '', /^554 5\.6\.0 /)
  assert.equal(taken.length, 0)
  assert.ok(connection.isOpen)
  await connection.close()
})

test('a stream with a bare line end ends without the final dot and is refused for good', async () => {
  async function* chunks(): AsyncGenerator<Buffer> {
    yield Buffer.from('a\r')
    yield Buffer.from('b\r\n')
  }
  const { said, taken, connection } = await sendOnce({}, message(chunks()))
  assert.match(said[0] ?? '', /^554 5\.6\.0 /)
  assert.equal(taken.length, 0)
  assert.ok(!connection.isOpen)
})

test('content that cannot be read to its end is never ended by a dot', async () => {
  async function* chunks(): AsyncGenerator<Buffer> {
    yield Buffer.from('half\r\n')
    throw new Error('disk')
  }
  const taken: TakenMessage[] = []
  const server = await serve(polite(taken))
  const connection = await connectTo(server)
  await assert.rejects(connection.send(message(chunks())), /disk/)
  await server.whenIdle()
  assert.equal(taken.length, 0)
})

test('a message larger than the server takes is not sent', async () => {
  const { said, server, connection } = await sendOnce({ capabilities: ['SIZE 5'] }, message('0123456789\r\n'))
  assert.match(said[0] ?? '', /^552 5\.3\.4 .* 5 octets$/)
  assert.equal(server.sessions[0]?.unread, '')
  await connection.close()
})

test('an internationalised message is not mangled for a server that cannot take it', async () => {
  const transaction = message('x\r\n')
  const { said, connection } = await sendOnce({}, { ...transaction, mail: { ...transaction.mail, smtpUtf8: true } })
  assert.match(said[0] ?? '', /^553 5\.6\.7 /)
  await connection.close()
})

test('whenever the connection is lost, nothing is thrown and no recipient is taken for done', async () => {
  const dialogue: readonly (readonly [lines: number, answer: string])[] = [
    [0, '220 hi\r\n'],
    [1, '250-x\r\n250 PIPELINING\r\n'],
    [4, '250 ok\r\n250 ok\r\n550 5.1.1 no\r\n354 go\r\n'],
    [0, '250 2.0.0 done\r\n'],
  ]
  const all = dialogue.map(([, answer]) => answer).join('')
  await fc.assert(
    fc.asyncProperty(fc.nat(all.length - 1), fc.boolean(), async (cut, reset) => {
      let left = cut
      const server = await startServer(async (session) => {
        for (const [index, [lines, answer]] of dialogue.entries()) {
          for (let count = 0; count < lines; count++) await session.line()
          if (index === 3) await session.content()
          const part = answer.slice(0, left)
          left -= part.length
          session.socket.write(part)
          if (part.length < answer.length) break
        }
        if (reset) session.socket.resetAndDestroy()
        else session.socket.end()
      })
      try {
        const connection = await connectTo(server)
        const { replies, untouched } = await connection.send(message('x\r\n', 'jane', 'nobody'))
        const wantedContent = cut >= all.indexOf('354 go\r\n') + 8
        assert.ok([421, 451].includes(replies[0]?.code ?? 0), `cut at ${cut}: ${replies[0]?.code}`)
        assert.ok([451, 550].includes(replies[1]?.code ?? 0))
        assert.equal(untouched, !wantedContent, `cut at ${cut}`)
        assert.ok(!connection.isOpen)
      } catch (error) {
        assert.ok(error instanceof OpenError, String(error))
        assert.equal(error.reply.code, 451)
      } finally {
        await server.close()
      }
    }),
    { numRuns: 120 },
  )
})

test('a server that says 421 before it hangs up is quoted', async () => {
  const server = await serve(async (session) => {
    session.say('220 hi')
    await session.line()
    session.say('250-x', '250 PIPELINING')
    await session.line()
    session.socket.end('421 4.3.2 going down\r\n')
  })
  const connection = await connectTo(server)
  const { replies, untouched } = await connection.send(message('x\r\n'))
  assert.deepEqual(replies, [{ code: 421, enhanced: '4.3.2', text: 'going down' }])
  assert.ok(untouched)
})

test('a refusal during the content counts when the server hangs up over it', async () => {
  const server = await serve(async (session) => {
    session.say('220 hi')
    await session.line()
    session.say('250-x', '250 PIPELINING')
    for (let count = 0; count < 3; count++) await session.line()
    session.say('250 ok', '250 ok', '354 go')
    await session.line()
    session.socket.end('552 5.3.4 too much\r\n')
  })
  async function* chunks(): AsyncGenerator<Buffer> {
    for (let count = 0; count < 200; count++) yield Buffer.from(`${'x'.repeat(998)}\r\n`.repeat(100))
  }
  const connection = await connectTo(server)
  assert.equal((await connection.send(message(chunks()))).replies[0]?.code, 552)
})

test('a refusal in one breath with 354 counts too, and an answer that nobody could have given yet does not', async () => {
  for (const [said, code] of [
    ['552 5.3.4 too much', 552],
    ['250 2.0.0 taken already', 451],
  ] as const) {
    const server = await serve(async (session) => {
      session.say('220 hi')
      await session.line()
      session.say('250-x', '250 PIPELINING')
      for (let count = 0; count < 3; count++) await session.line()
      session.socket.write(`250 ok\r\n250 ok\r\n354 go\r\n${said}\r\n`)
    })
    const connection = await connectTo(server)
    assert.equal((await connection.send(message('x\r\n'))).replies[0]?.code, code)
  }
})

test('an answer counts whatever nonsense stands behind it: the message is not sent again', async () => {
  const server = await serve(async (session) => {
    session.say('220 hi')
    await session.line()
    session.say('250-x', '250 PIPELINING')
    for (let count = 0; count < 3; count++) await session.line()
    session.say('250 ok', '250 ok', '354 go')
    await session.content()
    session.socket.write('250 2.0.0 taken\r\nand nonsense\r\n')
  })
  const connection = await connectTo(server)
  assert.equal((await connection.send(message('x\r\n'))).replies[0]?.code, 250)
})

test('a silent server is given up after the time-out of each step', async () => {
  const greeting = await serve(async () => {})
  await assert.rejects(connectTo(greeting, { timeouts: { greetingMs: 20 } }), /did not answer in time while waiting/)

  const hello = await serve(async (session) => session.say('220 hi'))
  await assert.rejects(connectTo(hello, { timeouts: { helloMs: 20 } }), /in time while sending EHLO/)

  const envelope = await serve(async (session) => {
    session.say('220 hi')
    await session.line()
    session.say('250-x', '250 PIPELINING')
  })
  const connection = await connectTo(envelope, { timeouts: { envelopeMs: 20 } })
  const { replies } = await connection.send(message('x\r\n'))
  assert.match(formatReply(replies[0] ?? assert.fail()), /^451 4\.4\.2 .* in time while sending the envelope$/)

  // Those before it may take as long on a slow machine: it is given up all the same.
  for (const script of [
    (session: ScriptedSession) => session.say('220 hi'),
    async (session: ScriptedSession) => {
      session.say('220 hi')
      await session.line()
      session.say('250-x', '250 STARTTLS')
      await session.line()
    },
    async (session: ScriptedSession) => {
      session.say('220 hi')
      await session.line()
      session.say('250-x', '250 STARTTLS')
      await session.line()
      session.say('220 go')
    },
  ]) {
    const server = await serve(async (session) => script(session))
    const tls = { mode: 'required', verify: false } as const
    await assert.rejects(connectTo(server, { tls, timeouts: { helloMs: 300 } }), /in time|timed out/)
  }
})

test('a server that falls silent before or in the content, or behind the final dot, is given up too', async () => {
  const silentFrom = (script: (session: ScriptedSession) => Promise<void>) =>
    serve(async (session) => {
      session.say('220 hi')
      await session.line()
      session.say('250 x')
      for (let count = 0; count < 2; count++) {
        await session.line()
        session.say('250 ok')
      }
      await session.line()
      return script(session)
    })
  async function* endless(): AsyncGenerator<Buffer> {
    for (;;) yield Buffer.from(`${'x'.repeat(998)}\r\n`.repeat(100))
  }
  const deaf = await silentFrom(async (session) => {
    session.say('354 go')
    session.socket.pause()
  })
  const mute = await silentFrom(async (session) => {
    session.say('354 go')
    await session.content()
  })
  for (const [server, timeouts, content, expected] of [
    [await silentFrom(async () => {}), { dataMs: 20 }, 'x\r\n', / in time while sending DATA$/],
    [deaf, { blockMs: 20 }, endless(), / takes no more octets$/],
    [mute, { finalMs: 20 }, 'x\r\n', / in time while sending the end of the message; it may have taken the message$/],
  ] as const) {
    const connection = await connectTo(server, { timeouts })
    const { replies } = await connection.send(message(content))
    assert.match(formatReply(replies[0] ?? assert.fail()), expected)
    assert.equal(replies[0]?.code, 451)
    assert.ok(!connection.isOpen)
  }
})

test('a server that breaks the protocol is hung up on', async () => {
  const server = await serve(async (session) => session.say('HTTP/1.1 400 Bad Request'))
  await assert.rejects(connectTo(server), /broke the protocol/)
})

test('a refused greeting or connection is told in the words of the server', async () => {
  const busy = await serve(polite([], { greeting: '421 4.7.0 busy' }))
  await assert.rejects(connectTo(busy), (error: OpenError) => {
    assert.equal(error.phase, 'greeting')
    assert.equal(error.reply.code, 421)
    return /busy/.test(error.reply.text)
  })
  const gone = await startServer(async () => {})
  await gone.close()
  await assert.rejects(connectTo(gone), /cannot connect to localhost\[127\.0\.0\.1\]:\d+: connection refused/)
})

test('a server that knows no EHLO is greeted with HELO', async () => {
  const server = await serve(async (session) => {
    session.say('220 old')
    assert.equal(await session.line(), 'EHLO client.test')
    session.say('502 what?')
    assert.equal(await session.line(), 'HELO client.test')
    session.say('250 hello')
    assert.equal(await session.line(), 'MAIL FROM:<a@b.example>')
    session.say('250 ok')
    await session.line()
    session.say('250 ok')
    assert.equal(await session.line(), 'DATA')
    session.say('354 go')
    await session.content()
    session.say('250 done')
  })
  const connection = await connectTo(server)
  assert.equal((await connection.send(message('x\r\n'))).replies[0]?.code, 250)
  await connection.close()
})

test('being told to stop ends the connection, but an answer that is on its way is waited for', async () => {
  const stop = new AbortController()
  const server = await serve(async (session) => {
    session.say('220 hi')
    await session.line()
    session.say('250-x', '250 PIPELINING')
    for (let count = 0; count < 3; count++) await session.line()
    session.say('250 ok', '250 ok', '354 go')
    await session.content()
    stop.abort()
    setImmediate(() => session.say('250 2.0.0 taken'))
  })
  const connection = await connectTo(server)
  assert.equal((await connection.send(message('x\r\n'), stop.signal)).replies[0]?.code, 250)

  const silent = await serve(async (session) => {
    session.say('220 hi')
    await session.line()
    session.say('250-x', '250 PIPELINING')
    await session.line()
    early.abort()
  })
  const early = new AbortController()
  const second = await connectTo(silent)
  assert.equal((await second.send(message('x\r\n'), early.signal)).replies[0]?.code, 451)
  await connection.close()
})

const pem = await selfSignedCertificate('mx.example.org')

function tlsServer(taken: TakenMessage[], behind = ''): (session: ScriptedSession, index: number) => Promise<void> {
  return async (session, index) => {
    session.say('220 hi')
    await session.line()
    session.say('250-x', '250-PIPELINING', '250 STARTTLS')
    assert.equal(await session.line(), 'STARTTLS')
    session.socket.write(`220 go\r\n${behind}`)
    await session.startTls(pem.cert, pem.key)
    if ((await session.line()) === undefined) return
    session.say('250-secure', '250-PIPELINING', '250 AUTH PLAIN LOGIN')
    const auth = await session.line()
    if (auth?.startsWith('AUTH') === true) session.say(await checkLogin(session, auth))
    else if (auth !== undefined) await politeTail(session, auth, taken, index)
  }
}

async function checkLogin(session: ScriptedSession, auth: string): Promise<string> {
  assert.equal(auth, `AUTH PLAIN ${Buffer.from('\0jane\0secret').toString('base64')}`)
  setImmediate(() => void session.line())
  return '235 2.7.0 welcome'
}

async function politeTail(session: ScriptedSession, mail: string, taken: TakenMessage[], connection: number) {
  const rcpt = [(await session.line()) ?? '']
  await session.line()
  session.say('250 ok', '250 ok', '354 go')
  const content = await session.content()
  if (content === undefined) return
  taken.push({ mail, rcpt, content, connection })
  session.say('250 2.0.0 secret kept')
}

test('STARTTLS is used when offered, and plain text injected behind its 220 does not count', async () => {
  const taken: TakenMessage[] = []
  for (const injected of ['250-evil\r\n250 AUTH LOGIN\r\n250 ok\r\n', '250-half a reply', 'nonsense\r\n\r\n']) {
    const server = await serve(tlsServer(taken, injected))
    const connection = await connectTo(server, { tls: { mode: 'required', verify: false } })
    assert.deepEqual(connection.capabilities.auth, new Set(['PLAIN', 'LOGIN']))
    assert.equal((await connection.send(message('x\r\n'))).replies[0]?.text, 'secret kept')
    await connection.close()
  }
  assert.equal(taken.length, 3)
})

test('a certificate is checked where that is asked for', async () => {
  const server = await serve(tlsServer([]))
  const untrusted = connectTo(server, { tls: { mode: 'required', verify: true } })
  await assert.rejects(untrusted, (error: OpenError) => {
    assert.equal(error.phase, 'tls')
    assert.equal(error.reply.enhanced, '4.7.5')
    return true
  })
  const trusted = await connectTo(server, { tls: { mode: 'required', verify: true, ca: pem.cert } })
  assert.ok(trusted.secured)
  assert.deepEqual(trusted.tls, { version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384' })
  await trusted.close()
  const unasked = await connectTo(server, { tls: { mode: 'opportunistic', verify: false } })
  assert.match(unasked.tls?.distrust ?? '', /SELF_SIGNED/)
  await unasked.close()
  const wrongName = openConnection({
    endpoint: { kind: 'tcp', host: 'other.example', address: '127.0.0.1', port: server.port },
    protocol: 'smtp',
    helo: 'client.test',
    tls: { mode: 'required', verify: true, ca: pem.cert },
  })
  await assert.rejects(wrongName, /altnames|alt names|does not match/i)
})

test('TLS that is demanded and not offered means later, never plain text', async () => {
  const taken: TakenMessage[] = []
  const server = await serve(polite(taken))
  await assert.rejects(connectTo(server, { tls: { mode: 'required', verify: false } }), /^OpenError: 451 4\.7\.4 /)
  assert.equal(taken.length, 0)
})

/** Offers STARTTLS and cannot do it; on the next connection it does not offer it. */
function brokenTls(taken: TakenMessage[]): (session: ScriptedSession, index: number) => Promise<void> {
  return async (session, index) => {
    if (index > 0) return polite(taken)(session, index)
    session.say('220 hi')
    await session.line()
    session.say('250-x', '250 STARTTLS')
    await session.line()
    // Behind the ClientHello: what comes with the 220 is dropped, and silence would be waited out.
    session.socket.once('data', () => session.socket.write('this is no TLS at all'))
    session.say('220 go')
    return undefined
  }
}

async function refusedStartTls(session: ScriptedSession): Promise<void> {
  session.say('220 hi')
  await session.line()
  session.say('250-x', '250 STARTTLS')
  await session.line()
  session.say('454 4.7.0 not today')
  await session.line()
}

test('a handshake that breaks means plain text on a new connection, when TLS is opportunistic', async () => {
  const taken: TakenMessage[] = []
  const server = await serve(brokenTls(taken))
  const connection = await connectTo(server, { tls: { mode: 'opportunistic', verify: false } })
  assert.ok(!connection.secured)
  assert.equal((await connection.send(message('x\r\n'))).replies[0]?.code, 250)
  assert.equal(server.sessions.length, 2)
  await connection.close()
})

test('a refused STARTTLS means plain text on the same connection, when TLS is opportunistic', async () => {
  const server = await serve(refusedStartTls)
  const connection = await connectTo(server, { tls: { mode: 'opportunistic', verify: false } })
  assert.ok(!connection.secured && connection.isOpen)
  await connection.close()
})

test('what came of TLS is told once for each server that was asked for it', async () => {
  const outcomes = async (script: Parameters<typeof serve>[0], tls: OpenOptions['tls']): Promise<readonly string[]> => {
    const told: string[] = []
    const onTls = ({ kind, localAddress, remoteAddress }: TlsOutcome): void =>
      void told.push(`${kind} ${localAddress} ${remoteAddress}`)
    const connection = await connectTo(await serve(script), { tls, onTls }).catch(() => undefined)
    await connection?.close()
    return told
  }
  const opportunistic = { mode: 'opportunistic', verify: false } as const
  const required = { mode: 'required', verify: true } as const
  const both = '127.0.0.1 127.0.0.1'
  assert.deepEqual(await outcomes(tlsServer([]), opportunistic), [`secured ${both}`])
  assert.deepEqual(await outcomes(tlsServer([]), required), [`failed ${both}`])
  assert.deepEqual(await outcomes(polite([]), opportunistic), [`plain ${both}`])
  assert.deepEqual(await outcomes(polite([]), required), [`plain ${both}`])
  assert.deepEqual(await outcomes(refusedStartTls, opportunistic), [`plain ${both}`])
  assert.deepEqual(await outcomes(brokenTls([]), opportunistic), [`failed ${both}`])
  assert.deepEqual(await outcomes(refusedStartTls, plainText), [])
})

test('a password is given inside TLS only', async () => {
  const credentials = { user: 'jane', password: 'secret' }
  const server = await serve(tlsServer([]))
  const connection = await connectTo(server, { tls: { mode: 'required', verify: false }, credentials })
  assert.ok(connection.secured)
  await connection.close()
  const plain = await serve(polite([], { capabilities: ['AUTH PLAIN'] }))
  await assert.rejects(connectTo(plain, { credentials }), /no password without TLS/)
  assert.doesNotMatch(plain.sessions[0]?.unread ?? '', /AUTH/)
})

test('AUTH LOGIN is spoken where PLAIN is not offered; what refuses us leaves the mail waiting, with the reason', async () => {
  const base64 = (text: string): string => Buffer.from(text).toString('base64')
  const offering = (mechanisms: string, ...answers: readonly string[]) => {
    const said: string[] = []
    return {
      said,
      script: async (session: ScriptedSession): Promise<void> => {
        session.say('220 hi')
        await session.line()
        session.say('250-x', '250 STARTTLS')
        await session.line()
        session.say('220 go')
        await session.startTls(pem.cert, pem.key)
        await session.line()
        session.say('250-x', `250 AUTH ${mechanisms}`)
        for (const answer of answers) {
          said.push((await session.line()) ?? '')
          session.say(answer)
        }
        await session.line()
      },
    }
  }
  const options = {
    tls: { mode: 'required', verify: false },
    credentials: { user: 'jane', password: 'secret' },
  } as const
  const login = offering('LOGIN', '334 VXNlcm5hbWU6', '334 UGFzc3dvcmQ6', '235 2.7.0 ok')
  const connection = await connectTo(await serve(login.script), options)
  assert.deepEqual(login.said, ['AUTH LOGIN', base64('jane'), base64('secret')])
  await connection.close()
  for (const [refusing, reason] of [
    [
      offering('LOGIN', '334 VXNlcm5hbWU6', '535 5.7.8 who?'),
      /^454 4\.7\.0 \S+ refused our password: 535 5\.7\.8 who\?$/,
    ],
    [offering('PLAIN LOGIN', '535 5.7.8 wrong'), /^454 4\.7\.0 \S+ refused our password: 535 5\.7\.8 wrong$/],
    [offering('GSSAPI'), /^454 4\.7\.0 \S+ offers neither AUTH PLAIN nor AUTH LOGIN$/],
  ] as const) {
    await assert.rejects(connectTo(await serve(refusing.script), options), (error: OpenError) => {
      assert.equal(error.phase, 'auth')
      assert.match(formatReply(error.reply), reason)
      return true
    })
  }
})
