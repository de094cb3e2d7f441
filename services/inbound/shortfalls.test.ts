import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { connected, only, start } from './testing-session.ts'

/**
 * Where smtp-server 3.21.6 falls short, one row for each finding of our survey of servers, with the tests that show it made good here:
 * the file, and how the name of the test begins.
 */
const shortfalls: readonly (readonly [
  row: number,
  what: string,
  ...shownBy: readonly (readonly [string, string])[],
])[] = [
  [
    1,
    'bare line ends stay in the message',
    ['session', 'bare line ends and smuggled ends of data are refused on the MX'],
    ['session', 'an own user may send bare line ends: they become CR LF'],
    ['session-fuzz', 'whatever strangers send'],
  ],
  [
    2,
    'a bare CR in a header becomes a field',
    ['session', 'a bare line end among the header fields of an own user is refused'],
    ['header-line-ends', 'bare line ends among CR LF are seen in the header section only'],
  ],
  [3, 'a reset ends the process', ['reset', 'a client may reset'], ['reset', 'resets in the middle of TLS handshakes']],
  [4, 'dots cost a turn of the event loop each', ['shortfalls', 'a million dots cost no more than other octets']],
  [
    5,
    'too big is read without end',
    ['session', 'a message that is too big is refused at its end, and one that never ends'],
  ],
  [6, 'one client takes all connections', ['session', 'one address cannot take all connections']],
  [7, 'any octet resets the clock', ['session', 'clients that dawdle are cut off']],
  [8, 'passwords may be guessed at full speed', ['session', 'guessing passwords ends the session']],
  [9, 'AUTH is offered before TLS', ['session', 'TLS and AUTH are demanded in that order']],
  [
    10,
    'users act and send for others',
    ['session', 'AUTH PLAIN and LOGIN, with and without'],
    ['session', 'with senders, a user sends as nobody else'],
  ],
  [
    11,
    'no trace',
    ['session', 'a message is accepted with its id, and stored with our Received'],
    ['session', 'strangers cannot forge Return-Path'],
    ['session', 'submission adds Date and Message-ID'],
  ],
  [12, 'no end of loops', ['session', 'a message that has been through too many hops']],
  [
    13,
    'parameters that nobody knows are taken',
    ['session', 'MAIL and RCPT: addresses and parameters'],
    ['session', 'commands out of order are refused'],
    ['mail-extensions', 'REQUIRETLS is offered and taken inside TLS only'],
  ],
  [
    14,
    'UTF-8 without SMTPUTF8',
    ['smtp-utf8', 'an address in UTF-8 is taken with SMTPUTF8'],
    ['smtp-utf8', 'octets that are no UTF-8 are no address'],
  ],
  [15, 'quotes are part of the name', ['../../shared/mail/address', 'only what RFC 5321 calls a mailbox is one']],
  [16, 'enhanced codes of a fixed table, doubled', ['shortfalls', 'each reply has one enhanced code']],
  [
    17,
    'DSN parameters without limits',
    ['session', 'MAIL and RCPT: addresses and parameters'],
    ['session', 'the DSN parameters reach the envelope as they were sent'],
  ],
  [18, 'recipients without limit', ['session', 'the limits of recipients and messages hold']],
  [
    19,
    'a bare LF ends a command, a body comes before 354',
    ['session', 'nothing behind a bare line feed is carried out'],
    ['session', 'a body sent without waiting for 354'],
  ],
  [20, 'one leading dot stays', ['data-decoder', 'dots are un-stuffed and the end is found']],
  [21, 'WIZ, SHELL and KILL', ['shortfalls', 'no command that is none']],
  [
    22,
    'LMTP merges a repeated RCPT: spoken nowhere here',
    ['shortfalls', 'no command that is none'],
    ['session', 'recipients keep their order, and each mailbox gets one copy'],
  ],
  [
    23,
    'long lines, nonsense, early talkers',
    ['session', 'lines that are not lines are refused'],
    ['session', 'nonsense without end is cut off'],
    ['session', 'a client that talks before the greeting'],
  ],
  [
    24,
    'no CHUNKING, PROXY v2, EXPN, ETRN',
    ['chunking', 'a message in chunks, sent all at once'],
    ['proxy-header', 'the address in the header is the client'],
    ['expn', 'a permitted client is told whom an alias leads to'],
    ['etrn', 'a permitted client starts the queue run'],
  ],
]

test('each shortfall of smtp-server has tests that show it made good', () => {
  assert.deepEqual(
    shortfalls.map(([row]) => row),
    Array.from({ length: 24 }, (_, index) => index + 1),
  )
  for (const [row, what, ...shownBy] of shortfalls) {
    assert.ok(shownBy.length > 0)
    for (const [file, name] of shownBy) {
      const text = readFileSync(join(import.meta.dirname, `${file}.test.ts`), 'utf8')
      assert.ok(
        text.includes(`\ntest('${name}`) || text.includes(`\ntest("${name}`),
        `${row} (${what}): ${file}: ${name}`,
      )
    }
  }
})

test('a million dots cost no more than other octets: they come in pieces of the network, not one by one', async (t) => {
  let pieces = 0
  const inbound = await start(t, {
    configuration: { maxMessageBytes: 10_000_000 },
    write: () => {
      pieces += 1
      return undefined
    },
  })
  const client = await connected(t, inbound)
  const content = `Subject: dots\r\n\r\n${'.\r\n'.repeat(1_000_000)}`
  const { code } = await client.send({ from: 'a@example.net', to: ['jane@example.org'], content })
  assert.equal(code, 250)
  assert.equal(only(inbound.accepted).content.length, content.length)
  assert.ok(pieces < 100_000, `${pieces} pieces`)
})

test('each reply has one enhanced code, of its class; greeting, EHLO and 354 have none (RFC 2034)', async (t) => {
  const client = await connected(t, await start(t))
  const commands = [
    'NOOP',
    'RSET',
    'HELP',
    'VRFY jane',
    'EXPN list',
    'XYZZY',
    'STARTTLS',
    'AUTH PLAIN',
    'ETRN x',
    'DATA',
    'BDAT 0',
    'EHLO',

    'MAIL FROM:<a b>',
    'MAIL FROM:<a@b.test> X=1',
    'MAIL FROM:<a@b.test> SIZE=99999999999',
    'RCPT TO:<jane@example.org>',

    'MAIL FROM:<a@b.test>',
    'MAIL FROM:<a@b.test>',
    'RCPT TO:<nobody@example.org>',
    'RCPT TO:<x@elsewhere.test>',
    'DATA',
    'RCPT TO:<broken@example.org>',
    'RCPT TO:<jane@example.org>',
    'QUIT',
  ]
  for (const command of commands) {
    const { code, lines } = await client.command(command)
    for (const line of lines) {
      assert.match(line, new RegExp(`^${Math.floor(code / 100)}\\.\\d{1,3}\\.\\d{1,3} `), `${command}: ${code} ${line}`)
      assert.doesNotMatch(line, /^\S+ \d\.\d+\.\d+/, command)
    }
  }
  const other = await connected(t, await start(t))
  for (const command of ['HELO x', 'EHLO x'])
    for (const line of (await other.command(command)).lines) assert.doesNotMatch(line, /^\d\.\d\.\d/)
})

test('no command that is none: WIZ, SHELL, LHLO and the like', async (t) => {
  const client = await connected(t, await start(t))
  for (const command of [
    'WIZ',
    'SHELL',
    'KILL',
    'DEBUG',
    'SEND FROM:<a@b.test>',
    'SOML FROM:<a@b.test>',
    'LHLO x',
    'TURN',
    'ATRN',
  ])
    assert.match((await client.command(command)).raw, /^50[02] 5\.5\.[12] /, command)
  assert.equal((await client.command('NOOP')).code, 250)
})
