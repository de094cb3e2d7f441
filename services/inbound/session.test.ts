import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'

import { SmtpClient, plain } from '../../test/support/smtp-client.ts'
import { SpoolFullError } from '../../shared/spool/spool.ts'
import { credentials, inlineMap, startInbound } from './testing.ts'
import { connected, dialogue, start } from './testing-session.ts'

const message = 'From: a@example.net\r\nSubject: x\r\n\r\nHello\r\n'
const submission = { tls: 'offered', auth: { kind: 'required', table: credentials } } as const

const mail = ['MAIL FROM:<a@example.net>', '250 2.1.0'] as const
const rcpt = ['RCPT TO:<jane@example.org>', '250 2.1.5'] as const
const data = ['DATA', '354 '] as const

test('a message is accepted with its id, and stored with our Received on top', async (t) => {
  const inbound = await start(t)
  const client = await connected(t, inbound)
  const reply = await client.send({ from: 'a@example.net', to: ['jane@example.org'], content: message })
  const [stored] = inbound.accepted
  assert.equal(reply.raw, `250 2.0.0 Ok: queued as ${stored?.envelope.id}`)
  assert.equal(stored?.content, message)
  assert.match(
    stored?.message ?? '',
    /^Received: from client\.test \(localhost \[127\.0\.0\.1\]\)\r\n\tby mx\.sluice\.test with ESMTP\r\n\tid [0-9a-z]{18}\r\n\tfor <jane@example\.org>;\r\n\t\w{3}, /,
  )
  assert.equal(stored?.envelope.origin.helo, 'client.test')
  await client.quit()
  await inbound.close()
  assert.deepEqual(inbound.events, ['connected', 'received', 'disconnected'])
})

test('hostnames: greeting, EHLO and Received have the name of the address the client connected to', async (t) => {
  const names = inlineMap('names', { '127.0.0.1': 'in.sluice.test', '192.0.2.1': 'far.sluice.test' })
  const inbound = await start(t, { listener: { hostnames: names, hostname: 'mx9.sluice.test' } })
  const client = await SmtpClient.connect({ port: inbound.port })
  t.after(() => client.destroy())
  assert.match((await client.reply()).raw, /^220 in\.sluice\.test /)
  assert.match((await client.command('EHLO client.test')).raw, /^250-in\.sluice\.test /)
  await client.send({ from: 'a@example.net', to: ['jane@example.org'], content: message })
  assert.match(inbound.accepted[0]?.message ?? '', /\tby in\.sluice\.test with ESMTP/)
  const other = inlineMap('names', { '192.0.2.1': 'far.sluice.test' })
  const unnamed = await connected(t, await start(t, { listener: { hostnames: other, hostname: 'mx9.sluice.test' } }))
  assert.match((await unnamed.command('HELO client.test')).raw, /^250 mx9\.sluice\.test/)
})

test('commands out of order are refused (RFC 5321 §4.1.4)', async (t) => {
  const client = await SmtpClient.connect({ port: (await start(t)).port })
  t.after(() => client.destroy())
  await client.reply()
  await dialogue(client, [
    ['MAIL FROM:<a@example.net>', '503 5.5.1'],
    ['HELO client.test', '250 mx.sluice.test'],
    ['RCPT TO:<jane@example.org>', '503 5.5.1'],
    ['DATA', '503 5.5.1'],
    mail,
    ['MAIL FROM:<b@example.net>', '503 5.5.1'],
    ['DATA', '503 5.5.1'],
    rcpt,
    ['DATA now', '501 5.5.4'],
    ['RSET', '250 2.0.0'],
    ['RCPT TO:<jane@example.org>', '503 5.5.1'],
    mail,
    ['EHLO again.test', '250-'],
    ['RCPT TO:<jane@example.org>', '503 5.5.1'],
    ['NOOP hello', '250 2.0.0'],
    ['VRFY jane', '252 2.0.0'],
    ['EXPN staff', '502 5.5.1'],
    ['AUTH PLAIN', '502 5.5.1'],
    ['STARTTLS', '502 5.5.1'],
    ['WIZ x', '500 5.5.2'],
    ['', '500 5.5.2'],
    ['QUIT', '221 2.0.0'],
  ])
  await client.waitForClose()
})

test('MAIL and RCPT: addresses and parameters', async (t) => {
  const client = await connected(t, await start(t, { limits: { errors: 100 } }))
  const long = 'a'.repeat(101)
  const cases: readonly (readonly [line: string, reply: string])[] = [
    ['MAIL FROM:<>', '250 2.1.0'],
    ['MAIL FROM: <a@example.net>', '250 2.1.0'],
    ['mail from:<a@example.net>   ', '250 2.1.0'],
    ['MAIL FROM:<@relay.test,@b.test:a@example.net>', '250 2.1.0'],
    ['MAIL FROM:<"a b"@example.net>', '250 2.1.0'],
    ['MAIL FROM:<"a>b"@example.net>', '250 2.1.0'],
    ['MAIL FROM:<a@[192.0.2.1]>', '250 2.1.0'],
    ['MAIL FROM:<a@[999.0.2.1]>', '501 5.1.7'],
    ['MAIL FROM:a@example.net', '501 5.5.4'],
    ['MAIL FROM:<a@example.net', '501 5.5.4'],
    ['MAIL FROM:<"a@example.net>', '501 5.5.4'],
    ['MAIL FROM:<a>', '501 5.1.7'],
    ['MAIL FROM:<a..b@example.net>', '501 5.1.7'],
    ['MAIL FROM:<a b@example.net>', '501 5.1.7'],
    ['MAIL FROM:<a@b.test>x', '501 5.5.4'],
    ['MAIL FROM:<a@b.test> RCPT TO:<x@y.test>', '501 5.5.4'],
    ['MAIL FROM:<ü@example.net>', '553 5.6.7'],
    ['MAIL FROM:<ü@example.net> SMTPUTF8', '250 2.1.0'],
    ['MAIL FROM:<jörg@bücher.test> SIZE=12 SMTPUTF8 BODY=8BITMIME', '250 2.1.0'],
    ['MAIL FROM:<a@example.net> SMTPUTF8', '250 2.1.0'],
    ['MAIL FROM:<a@example.net> SMTPUTF8=yes', '501 5.5.4'],
    ['MAIL FROM:<a@bücher.test>', '553 5.6.7'],
    ['MAIL FROM:<a\u0085b@example.net> SMTPUTF8', '501 5.1.7'],
    ['MAIL FROM:<a\u202eb@example.net> SMTPUTF8', '501 5.1.7'],
    [`MAIL FROM:<${'ü'.repeat(33)}@example.net> SMTPUTF8`, '501 5.1.7'],
    ['MAIL FROM:<a@example.net> SIZE=1ü SMTPUTF8', '501 5.5.4'],
    ['MAIL FROM:<a@example.net> REQUIRETLS', '555 5.5.4'],
    ['MAIL FROM:<a@example.net> XFOO=bar', '555 5.5.4'],
    ['MAIL FROM:<a@example.net> SIZE=1000000', '250 2.1.0'],
    ['MAIL FROM:<a@example.net> SIZE=1000001', '552 5.3.4'],
    ['MAIL FROM:<a@example.net> SIZE=', '501 5.5.4'],
    ['MAIL FROM:<a@example.net> SIZE=1e3', '501 5.5.4'],
    ['MAIL FROM:<a@example.net> SIZE=1 SIZE=2', '501 5.5.4'],
    ['MAIL FROM:<a@example.net> SIZE=1\v0', '500 5.5.2'],
    ['MAIL FROM:<a@example.net> BODY=8BITMIME RET=HDRS ENVID=a+2Bb', '250 2.1.0'],
    ['MAIL FROM:<a@example.net> BODY=BINARYMIME', '501 5.5.4'],
    ['MAIL FROM:<a@example.net> RET=ALL', '501 5.5.4'],
    [`MAIL FROM:<a@example.net> ENVID=${long}`, '501 5.5.4'],
    ['MAIL FROM:<a@example.net> ENVID=a+0D+0Ab', '501 5.5.4'],
    ['MAIL FROM:<a@example.net> ENVID=a+ZZ', '501 5.5.4'],
    ['MAIL FROM:<a@example.net> AUTH=<>', '250 2.1.0'],
  ]
  for (const [line, expected] of cases)
    await dialogue(client, [
      [line, expected],
      ['RSET', '250'],
    ])
  await dialogue(client, [
    mail,
    ['RCPT TO:<jane@example.org> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Jane@example.org', '250 2.1.5'],
    ['RCPT TO:<john@example.org> NOTIFY=NEVER,DELAY', '501 5.5.4'],
    ['RCPT TO:<john@example.org> NOTIFY=SOMETIMES', '501 5.5.4'],
    ['RCPT TO:<john@example.org> ORCPT=justtext', '501 5.5.4'],
    [`RCPT TO:<john@example.org> ORCPT=rfc822;${long.repeat(5)}`, '501 5.5.4'],
    ['RCPT TO:<john@example.org> XFOO', '555 5.5.4'],
    ['RCPT TO:<>', '501 5.1.3'],
    ['RCPT TO:<john>', '501 5.1.3'],
    ['RCPT TO:<"john"@EXAMPLE.org>', '250 2.1.5'],
    ['RCPT TO:<Postmaster>', '250 2.1.5'],
    ['RCPT TO:<nobody@example.org>', '550 5.1.1 Invalid recipient'],
    ['RCPT TO:<x@elsewhere.test>', '550 5.7.1 Relaying denied'],
    ['RCPT TO:<broken@example.org>', '451 4.3.0'],
    ['RCPT TO:<jané@example.org>', '553 5.6.7'],
    ['RCPT TO:<john@example.org> ORCPT=utf-8;jané@example.org', '501 5.5.4'],
  ])
})

test('the DSN parameters reach the envelope as they were sent, and no-dsn does not take them', async (t) => {
  const inbound = await start(t)
  const client = await connected(t, inbound)
  await dialogue(client, [
    ['MAIL FROM:<a@example.net> RET=HDRS ENVID=QQ+2B1 BODY=8BITMIME', '250'],
    ['RCPT TO:<jane@example.org> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;J+2Bane@example.org', '250'],
    data,
    ['.', '250 2.0.0'],
  ])
  const { envelope } = inbound.accepted[0] ?? assert.fail()
  assert.deepEqual(envelope.dsn, { ret: 'hdrs', envid: 'QQ+2B1' })
  assert.equal(envelope.eightBit, true)
  assert.deepEqual(envelope.recipients, [
    { mailbox: 'jane@example.org', orcpt: 'rfc822;J+2Bane@example.org', notify: ['success', 'delay'] },
  ])
  const plainClient = await connected(t, await start(t, { listener: { noDsn: true } }))
  assert.doesNotMatch((await plainClient.command('EHLO x')).raw, /DSN/)
  await dialogue(plainClient, [
    ['MAIL FROM:<a@example.net> RET=HDRS', '555 5.5.4'],
    mail,
    ['RCPT TO:<jane@example.org> NOTIFY=NEVER', '555 5.5.4'],
  ])
})

test('recipients keep their order, and each mailbox gets one copy', async (t) => {
  const inbound = await start(t)
  const client = await connected(t, inbound)
  const to = ['john@example.org', 'list@example.org', 'john@EXAMPLE.ORG']
  await client.send({ from: '', to, content: message })
  const { envelope, message: stored } = inbound.accepted[0] ?? assert.fail()
  assert.deepEqual(envelope.recipients, [
    { mailbox: 'john@example.org' },
    { mailbox: 'jane@example.org', original: 'list@example.org' },
  ])
  assert.equal(envelope.reversePath, null)
  assert.doesNotMatch(stored, /\tfor </)
})

test('the limits of recipients and messages hold', async (t) => {
  const client = await connected(t, await start(t, { configuration: { maxRecipients: 2, maxMailsPerSession: 1 } }))
  await dialogue(client, [
    mail,
    ['RCPT TO:<jane+1@example.org>', '250'],
    ['RCPT TO:<jane+2@example.org>', '250'],
    ['RCPT TO:<jane+3@example.org>', '452 4.5.3'],
    ['RCPT TO:<jane+2@example.org>', '250'],
    data,
    ['.', '250'],
    ['MAIL FROM:<a@example.net>', '452 4.7.0'],
  ])
})

test('pipelined commands are answered in order, however they are cut (RFC 2920)', async (t) => {
  const inbound = await start(t)
  const group =
    'RSET\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<jane@example.org>\r\nRCPT TO:<x@example.org>\r\nRSET\r\nQUIT\r\n'
  for (const pieces of [[group], group.split('')]) {
    const client = await connected(t, inbound)
    for (const piece of pieces) client.write(piece)
    const codes = []
    for (let count = 0; count < 6; count += 1) codes.push((await client.reply()).code)
    assert.deepEqual(codes, [250, 250, 250, 550, 250, 221])
  }
})

test('a body sent without waiting for 354 is not taken, nor run as commands', async (t) => {
  const inbound = await start(t)
  const client = await connected(t, inbound)
  client.write(`MAIL FROM:<a@example.net>\r\nRCPT TO:<jane@example.org>\r\nDATA\r\n${message}.\r\nNOOP\r\n`)
  const codes = [(await client.reply()).code, (await client.reply()).code, (await client.reply()).code]
  assert.deepEqual(codes, [250, 250, 554])
  await client.waitForClose()
  assert.equal(inbound.accepted.length, 0)
})

test('a client that talks before the greeting is sent away', async (t) => {
  for (const listener of [{}, { tls: 'required', auth: { kind: 'required', table: credentials } }] as const) {
    const inbound = await start(t, { listener, limits: { greetingWaitMs: 60_000 } })
    const socket = connect({ port: inbound.port, host: '127.0.0.1' })
    t.after(() => socket.destroy())
    socket.write('EHLO early.test\r\n')
    let text = ''
    for await (const chunk of socket) text += String(chunk)
    assert.match(text, /^554 5\.5\.0 /)
  }
})

test('nothing behind a bare line feed is carried out', async (t) => {
  const client = await connected(t, await start(t))
  client.write('NOOP\nMAIL FROM:<a@b.test>\r\n')
  assert.equal((await client.reply()).code, 521)
  await assert.rejects(client.reply())
})

test('lines that are not lines are refused and not run', async (t) => {
  const client = await connected(t, await start(t))
  await dialogue(client, [
    ['NOOP\rNOOP', '500 5.5.2'],
    ['MAIL FROM:<a@b.test\0>', '500 5.5.2'],
    [`NOOP ${'x'.repeat(3_000)}`, '500 5.5.2'],
    [`NOOP ${'x'.repeat(30_000)}`, '500 5.5.2'],
    ['NOOP', '250'],
    ['EHLO <script>', '501 5.5.4'],
    ['EHLO', '501 5.5.4'],
    ['EHLO [IPv6:::1]', '250'],
  ])
  client.write('x'.repeat(100_000))
  assert.equal((await client.reply()).code, 421)
  await client.waitForClose()
})

test('nonsense without end is cut off', async (t) => {
  const inbound = await start(t, { limits: { errors: 5, idleCommands: 5, refusedRecipients: 2 } })
  const cases = [
    Array.from({ length: 5 }, () => 'XYZZY'),
    Array.from({ length: 8 }, () => 'NOOP'),
    [mail[0], ...Array.from({ length: 3 }, () => 'RCPT TO:<x@example.org>')],
    ['GET / HTTP/1.1'],
  ]
  for (const lines of cases) {
    const client = await connected(t, inbound)
    client.write(lines.map((line) => `${line}\r\n`).join(''))
    let code = 0
    while (code !== 421) ({ code } = await client.reply())
    await client.waitForClose()
  }
})

test('bare line ends and smuggled ends of data are refused on the MX, and nothing behind them is a command', async (t) => {
  const inbound = await start(t, { limits: { errors: 1000 } })
  const client = await connected(t, inbound)
  const ends = [
    '\n.\n',
    '\n.\r\n',
    '\r\n.\n',
    '\r.\r',
    '\r\n.\r',
    '\r.\r\n',
    '\n\n.\r\n',
    '\r\n\0.\r\n',
    '\r\0\n.\r\n',
    '\r\n.\0\r\n',
  ]
  for (const end of ends) {
    await dialogue(client, [mail, rcpt, data])
    client.write(`${message}${end}MAIL FROM:<smuggled@example.net>\r\nRCPT TO:<john@example.org>\r\nDATA\r\n\r\n.\r\n`)
    const { code } = await client.reply()
    const bare = /\r(?!\n)|(?<!\r)\n/.test(end)
    assert.equal(code, bare ? 550 : 250, JSON.stringify(end))
    await dialogue(client, [['NOOP', '250']])
  }
  assert.ok(inbound.accepted.every(({ content }) => !/\r(?!\n)|(?<!\r)\n/.test(content)))
})

test('an own user may send bare line ends: they become CR LF', async (t) => {
  const inbound = await start(t, { listener: submission })
  const client = await connected(t, inbound, { starttls: true, user: 'jane', password: 'secret' })
  await dialogue(client, [mail, rcpt, data])
  client.write('Subject: x\nFrom: a\n\nline\rline\n.\n..\r\n.\r\n')
  assert.equal((await client.reply()).code, 250)
  assert.equal(inbound.accepted[0]?.content, 'Subject: x\r\nFrom: a\r\n\r\nline\r\nline\r\n.\r\n..\r\n')
})

test('a bare line end among the header fields of an own user is refused: it would become a field', async (t) => {
  const inbound = await start(t, { listener: submission })
  const client = await connected(t, inbound, { starttls: true, user: 'jane', password: 'secret' })
  for (const bare of ['\r', '\n']) {
    await dialogue(client, [mail, rcpt, data])
    client.write(`Subject: x${bare}X-Injected: y\r\nFrom: a\r\n\r\nx\r\n.\r\n`)
    assert.equal((await client.reply()).raw.slice(0, 9), '550 5.6.0')
  }
})

test('a message that is too big is refused at its end, and one that never ends is cut off', async (t) => {
  const inbound = await start(t, { configuration: { maxMessageBytes: 10_000 } })
  const client = await connected(t, inbound)
  const line = `${'x'.repeat(98)}\r\n`
  const tooBig = await client.send({ from: 'a@b.test', to: ['jane@example.org'], content: line.repeat(101) })
  assert.equal(tooBig.raw.slice(0, 9), '552 5.3.4')
  const fits = await client.send({ from: 'a@b.test', to: ['jane@example.org'], content: line.repeat(100) })
  assert.equal(fits.code, 250)
  await dialogue(client, [mail, rcpt, data])
  client.write(line.repeat(20_000))
  assert.equal((await client.reply()).code, 552)
  await client.waitForClose()
  assert.equal(inbound.accepted.length, 1)
  assert.equal(inbound.aborted(), 2)
})

test('a message that has been through too many hops is refused', async (t) => {
  const inbound = await start(t)
  const client = await connected(t, inbound)
  const to = ['jane@example.org']
  const hops = (count: number): string => `${'Received: from x by y; now\r\n'.repeat(count)}\r\nx`
  assert.equal((await client.send({ from: '', to, content: hops(101) })).raw.slice(0, 9), '554 5.4.6')
  assert.equal((await client.send({ from: '', to, content: hops(100) })).code, 250)
})

test('a full disk is answered 452, other trouble 451, and nothing stays', async (t) => {
  const full = await start(t, { accept: () => Promise.reject(new SpoolFullError('full')) })
  const fullLate = await start(t, { write: () => Promise.reject(new SpoolFullError('full')) })
  const fullAtOnce = await start(t, {
    write: () => {
      throw new SpoolFullError('full')
    },
  })
  const broken = await start(t, { accept: () => Promise.reject(new Error('boom')) })
  for (const [inbound, expected] of [
    [full, '452 4.3.1'],
    [fullLate, '452 4.3.1'],
    [fullAtOnce, '452 4.3.1'],
    [broken, '451 4.3.0'],
  ] as const) {
    const client = await connected(t, inbound)
    const reply = await client.send({ from: '', to: ['jane@example.org'], content: message })
    assert.equal(reply.raw.slice(0, 9), expected)
    assert.equal(inbound.aborted(), 1)
    await dialogue(client, [['NOOP', '250']])
  }
})

test('a client that has said all and closes its side gets the replies, in the clear and in TLS', async (t) => {
  for (const tls of ['none', 'implicit'] as const) {
    const inbound = await start(t, {
      listener: { tls, pkis: tls === 'none' ? [] : ['server'] },
      accept: async () => {
        for (let turn = 0; turn < 50; turn += 1) await nextTurn()
        return { segment: 'memory', offset: 0 } as never
      },
    })
    const target = { port: inbound.port, host: '127.0.0.1' }
    const socket = tls === 'none' ? connect(target) : connectTls({ ...target, rejectUnauthorized: false })
    t.after(() => socket.destroy())
    let text = ''
    for await (const chunk of socket) {
      if (text === '') socket.write(`EHLO x\r\n${mail[0]}\r\n${rcpt[0]}\r\nDATA\r\n`)
      text += String(chunk)
      if (text.endsWith('<CR><LF>\r\n')) socket.end(`Subject: x\r\n\r\nHello\r\n.\r\n${mail[0]}\r\nNOO`)
    }
    assert.match(text, /^250 2\.0\.0 Ok: queued as \w+\r\n250 2\.1\.0 Ok\r\n$/m)
    assert.equal(inbound.accepted.length, 1)
  }
})

test('a client that is gone in the middle of DATA leaves nothing behind', async (t) => {
  const inbound = await start(t)
  for (const leave of ['FIN', 'RST'] as const) {
    const abort = inbound.nextAbort()
    const socket = connect({ port: inbound.port, host: '127.0.0.1' })
    t.after(() => socket.destroy())
    let text = ''
    for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
      if (text === '') socket.write(`EHLO x\r\n${mail[0]}\r\n${rcpt[0]}\r\nDATA\r\n`)
      text += String(chunk)
      if (text.includes('\r\n354 ')) break
    }
    socket.write('Subject: half\r\n')
    if (leave === 'FIN') socket.end()
    else socket.resetAndDestroy()
    await abort
  }
  assert.equal(inbound.accepted.length, 0)
})

test('strangers cannot forge Return-Path, and what they wrote else stays', async (t) => {
  const inbound = await start(t)
  const client = await connected(t, inbound)
  await client.send({
    from: '',
    to: ['jane@example.org'],
    content: `Return-Path: <forged@x.test>\r\nBcc: b@x.test\r\n${message}`,
  })
  const stored = inbound.accepted[0]?.message ?? ''
  assert.doesNotMatch(stored, /Return-Path/)
  assert.match(stored, /Bcc: b@x\.test/)
  assert.doesNotMatch(stored, /Message-ID|Date:/)
})

test('submission adds Date and Message-ID, and removes Bcc (RFC 6409 §8)', async (t) => {
  const inbound = await start(t, { listener: submission })
  const client = await connected(t, inbound, { starttls: true, user: 'jane', password: 'secret' })
  await client.send({ from: 'jane', to: ['john', 'x@elsewhere.test'], content: `Bcc: b@x.test\r\n${message}` })
  const { message: stored, envelope } = inbound.accepted[0] ?? assert.fail()
  assert.match(stored, /^Received: .*with ESMTPSA \(TLSv1\.3 TLS_\w+\)\r\n/s)
  assert.match(
    stored,
    new RegExp(`\r\nDate: Sat, 21 Nov 2026 03:22:05 \\+0000\r\nMessage-ID: <${envelope.id}@mx\\.sluice\\.test>\r\n`),
  )
  assert.doesNotMatch(stored, /Bcc/)
  assert.equal(envelope.reversePath, 'jane@mx.sluice.test')
  assert.equal(envelope.recipients[0]?.mailbox, 'john@mx.sluice.test')
  assert.equal(envelope.origin.user, 'jane')
  await client.send({ from: 'jane', to: ['john'], content: `Date: now\r\nMessage-ID: <1@x>\r\n${message}` })
  assert.equal(inbound.accepted[1]?.message.match(/^(?:Date|Message-ID):/gm)?.length, 2)
})

test('TLS and AUTH are demanded in that order, and AUTH is offered inside TLS only', async (t) => {
  const inbound = await start(t, { listener: { ...submission, tls: 'required' } })
  const client = await connected(t, inbound)
  assert.doesNotMatch((await client.command('EHLO x')).raw, /AUTH/)
  await dialogue(client, [
    ['MAIL FROM:<a@example.net>', '530 5.7.0 Must issue a STARTTLS'],
    [`AUTH PLAIN ${plain('jane', 'secret')}`, '530 5.7.0 Must issue a STARTTLS'],
    ['STARTTLS now', '501 5.5.4'],
  ])
  await client.startTls()
  await dialogue(client, [
    ['MAIL FROM:<a@example.net>', '503 5.5.1'],
    ['STARTTLS', '503 5.5.1'],
  ])
  const offered = (await client.command('EHLO x')).raw
  assert.match(offered, /AUTH PLAIN LOGIN/)
  assert.doesNotMatch(offered, /STARTTLS/)
  await dialogue(client, [
    ['MAIL FROM:<a@example.net>', '530 5.7.0 Authentication required'],
    [`AUTH PLAIN ${plain('jane', 'secret')}`, '235 2.7.0'],
    [`AUTH PLAIN ${plain('jane', 'secret')}`, '503 5.5.1'],
    mail,
    ['RSET', '250'],
    mail,
  ])
  assert.doesNotMatch((await client.command('EHLO x')).raw, /AUTH/)
})

test('what a client put behind STARTTLS in the clear is dropped', async (t) => {
  const inbound = await start(t, { listener: { tls: 'offered' } })
  const client = await connected(t, inbound)
  await dialogue(client, [mail])
  client.write('STARTTLS\r\nRCPT TO:<jane@example.org>\r\nNOOP\r\n')
  assert.equal((await client.reply()).code, 220)
  await client.handshake()
  await dialogue(client, [
    ['RCPT TO:<jane@example.org>', '503 5.5.1'],
    ['NOOP', '250'],
  ])
})

test('AUTH PLAIN and LOGIN, with and without an initial response', async (t) => {
  const inbound = await start(t, { listener: submission })
  const b64 = (text: string): string => Buffer.from(text).toString('base64')
  const dialogues: (readonly (readonly [string, string])[])[] = [
    [[`AUTH PLAIN ${plain('jane', 'secret')}`, '235 2.7.0']],
    [
      ['AUTH PLAIN', '334'],
      [plain('jane', 'secret'), '235 2.7.0'],
    ],
    [
      ['AUTH LOGIN', '334 VXNlcm5hbWU6'],
      [b64('jane'), '334 UGFzc3dvcmQ6'],
      [b64('secret'), '235 2.7.0'],
    ],
    [
      [`AUTH LOGIN ${b64('jane')}`, '334 '],
      [b64('secret'), '235 2.7.0'],
    ],
    [[`AUTH PLAIN ${b64('jane\0jane\0secret')}`, '235 2.7.0']],
    [[`AUTH PLAIN ${b64('root\0jane\0secret')}`, '535 5.7.8']],
    [[`AUTH PLAIN ${plain('jane', 'wrong')}`, '535 5.7.8']],
    [[`AUTH PLAIN ${plain('nobody', 'secret')}`, '535 5.7.8']],
    [[`AUTH PLAIN ${plain('jane\tx', 'secret')}`, '501 5.5.2']],
    [[`AUTH PLAIN ${plain('', '')}`, '535 5.7.8']],
    [
      ['AUTH PLAIN', '334'],
      ['*', '501 5.7.0'],
      ['NOOP', '250'],
    ],
    [['AUTH CRAM-MD5', '504 5.5.4']],
    [['AUTH', '501 5.5.4']],
    [[`AUTH PLAIN ${'A'.repeat(20_000)}`, '500 5.5.2']],
  ]
  for (const lines of dialogues) {
    const client = await connected(t, inbound, { starttls: true })
    await dialogue(client, lines)
    client.destroy()
  }
})

test('guessing passwords ends the session, and then the address is not listened to', async (t) => {
  const inbound = await start(t, { listener: submission, limits: { authFailures: 3 } })
  const attempt = `AUTH PLAIN ${plain('jane', 'wrong')}`
  const client = await connected(t, inbound, { starttls: true })
  await dialogue(client, [
    [attempt, '535 5.7.8'],
    [attempt, '535 5.7.8'],
    [attempt, '421 4.7.0'],
  ])
  await client.waitForClose()
  for (let round = 0; round < 9; round += 1) {
    const other = await connected(t, inbound, { starttls: true })
    await dialogue(
      other,
      [
        [attempt, '5'],
        [attempt, '5'],
      ].slice(0, round === 8 ? 1 : 2) as [string, string][],
    )
    other.destroy()
  }
  const last = await connected(t, inbound, { starttls: true })
  await dialogue(last, [[`AUTH PLAIN ${plain('jane', 'secret')}`, '454 4.7.0']])
  assert.equal(inbound.events.filter((name) => name === 'authFailed').length, 21)
})

test('a table that cannot be read is a temporary failure', async (t) => {
  const table = { name: 'gone', source: { kind: 'file', path: '/nonexistent/creds' }, at: credentials.at } as const
  const inbound = await start(t, { listener: { tls: 'offered', auth: { kind: 'required', table } } })
  const client = await connected(t, inbound, { starttls: true })
  await dialogue(client, [[`AUTH PLAIN ${plain('jane', 'secret')}`, '454 4.7.0']])
})

test('with senders, a user sends as nobody else', async (t) => {
  const senders = { table: inlineMap('senders', { jane: 'jane@example.org, @jane.test' }), masquerade: true }
  const inbound = await start(t, { listener: { ...submission, senders } })
  const client = await connected(t, inbound, { starttls: true, user: 'jane', password: 'secret' })
  await dialogue(client, [
    ['MAIL FROM:<john@example.org>', '553 5.7.1'],
    ['MAIL FROM:<any@jane.test>', '250'],
    ['RSET', '250'],
    ['MAIL FROM:<jane+x@example.org>', '250'],
    rcpt,
    data,
  ])
  client.write('From: "The Boss" <boss@example.org>\r\n\r\nx\r\n.\r\n')
  await client.reply()
  assert.match(inbound.accepted[0]?.message ?? '', /^From: <jane\+x@example\.org>\r$/m)
})

test('senders may be patterns; a From of another name becomes the sender of this mail', async (t) => {
  const senders = { table: inlineMap('senders', { jane: 'sales@*.example.org, @*.jane.test' }), masquerade: true }
  const inbound = await start(t, { listener: { ...submission, senders } })
  const client = await connected(t, inbound, { starttls: true, user: 'jane', password: 'secret' })
  for (const [from, code] of [
    ['jane@example.org', 553],
    ['presales@eu.example.org', 553],
    ['sales@example.org', 553],
    ['a@jane.test', 553],
    ['sales@eu.example.org', 250],
    ['a@b.jane.test', 250],
  ] as const)
    assert.equal(
      (await client.send({ from, to: ['jane@example.org'], content: 'From: <boss@example.org>\r\n\r\nx\r\n' })).code,
      code,
      from,
    )
  assert.deepEqual(
    inbound.accepted.map(({ message }) => /^From: (.*)\r$/m.exec(message)?.[1]),
    ['<sales@eu.example.org>', '<a@b.jane.test>'],
  )
})

test("senders masquerade: no From but the sender's own address stays", async (t) => {
  const senders = { table: inlineMap('senders', { jane: 'jane@example.org' }), masquerade: true }
  const inbound = await start(t, { listener: { ...submission, senders } })
  const client = await connected(t, inbound, { starttls: true, user: 'jane', password: 'secret' })
  for (const [from, kept] of [
    ['Jane <Jane@example.org>', true],
    ['"Doe, Jane"\r\n <jane@example.org>', true],
    ['jane@example.org', true],
    ['notjane@example.org', false],
    ['"jane@example.org" <boss@example.org>', false],
    ['boss@example.org, Jane <jane@example.org>', false],
  ] as const) {
    await client.send({ from: 'jane@example.org', to: ['jane@example.org'], content: `From: ${from}\r\n\r\nx\r\n` })
    const expected = `\r\nFrom: ${kept ? from : '<jane@example.org>'}\r\n`
    assert.ok(inbound.accepted.at(-1)?.message.includes(expected), from)
  }
})

test('one address cannot take all connections', async (t) => {
  const inbound = await start(t, { limits: { connectionsPerAddress: 2 } })
  const first = await connected(t, inbound)
  await connected(t, inbound)
  const third = await SmtpClient.connect({ port: inbound.port })
  t.after(() => third.destroy())
  assert.equal((await third.reply()).raw.slice(0, 9), '421 4.7.0')
  await first.quit()
})

test('a place is given back when the session ends, in the clear, after STARTTLS and under implicit TLS', async (t) => {
  for (const tls of ['none', 'offered', 'implicit'] as const) {
    const inbound = await start(t, { listener: { tls }, limits: { connectionsPerAddress: 1 } })
    for (let round = 0; round < 3; round += 1) {
      const left = inbound.nextEvent('disconnected')
      const client = await connected(t, inbound, { implicitTls: tls === 'implicit', starttls: tls === 'offered' })
      assert.equal(client.secure, tls !== 'none')
      await client.quit()
      await left
      await nextTurn()
    }
  }
})

test('clients that dawdle are cut off: idle, dripping a command, dripping DATA', async (t) => {
  const fast = { sweepMs: 10, idleMs: 100_000, lineMs: 100_000, dataGraceMs: 100_000 }
  const idle = await connected(t, await start(t, { limits: { ...fast, idleMs: 30 } }))
  const dripping = await connected(t, await start(t, { limits: { ...fast, lineMs: 30 } }))
  dripping.write('NOO')
  const slow = await connected(t, await start(t, { limits: { ...fast, dataGraceMs: 30 } }))
  await dialogue(slow, [mail, rcpt, data])
  slow.write('S')
  for (const client of [idle, dripping, slow]) {
    assert.equal((await client.reply()).raw.slice(0, 9), '421 4.4.2')
    await client.waitForClose()
  }
})

test('at shutdown idle sessions get 421, and a message on its way is still taken', async (t) => {
  const inbound = await startInbound()
  const idle = await connected(t, inbound)
  const busy = await connected(t, inbound)
  await dialogue(busy, [mail, rcpt, data])
  busy.write('Subject: x\r\n')
  const closed = inbound.close()
  assert.equal((await idle.reply()).raw.slice(0, 9), '421 4.3.2')
  busy.write('\r\nx\r\n.\r\n')
  assert.equal((await busy.reply()).code, 250)
  assert.equal((await busy.reply()).code, 421)
  await closed
  assert.equal(inbound.accepted.length, 1)
})

test('a message whose sender is gone in DATA does not hold up the shutdown', async (t) => {
  const inbound = await startInbound({ limits: { drainMs: 50 } })
  const client = await connected(t, inbound)
  await dialogue(client, [mail, rcpt, data])
  const abort = inbound.nextAbort()
  await inbound.close()
  await abort
  await client.waitForClose()
})
