import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import fc from 'fast-check'

import type { BodyRule, ContentRules, HeaderRule, Listener } from '../../shared/config/model.ts'
import type { Mailbox } from '../../shared/mail/address.ts'
import { SmtpClient } from '../../test/support/smtp-client.ts'
import { contentChecks } from './content-checks.ts'
import type { CheckedContent } from './content-checks.ts'
import { startInbound, testPipeline } from './testing.ts'
import type { TestInbound } from './testing.ts'

const at = { file: 'pipeline.conf', line: 1, column: 1 }
const listener = { on: 'eth0', port: 25 } as unknown as Listener

interface Wanted {
  readonly mimeHeader?: readonly Omit<HeaderRule, 'at'>[]
  readonly nestedHeader?: readonly Omit<HeaderRule, 'at'>[]
  readonly body?: readonly Omit<BodyRule, 'at'>[]
  readonly bodyBytes?: number
}

function rulesOf({ mimeHeader = [], nestedHeader = [], body = [], bodyBytes = 51_200 }: Wanted): ContentRules {
  const placed = <Rule>(rules: readonly Rule[]): readonly (Rule & { readonly at: typeof at })[] =>
    rules.map((rule) => ({ at, ...rule }))
  return { mimeHeader: placed(mimeHeader), nestedHeader: placed(nestedHeader), body: placed(body), bodyBytes }
}

/** What reaches the spool, and who let it through. */
async function pass(
  wanted: Wanted,
  message: string | Buffer,
  pieceBytes = 1_000_000,
  maxBytes = 1_000_000,
): Promise<{ readonly text: string; readonly checked: CheckedContent }> {
  const written: Buffer[] = []
  const content = { write: (chunk: Buffer) => void written.push(Buffer.from(chunk)), abort: () => Promise.resolve() }
  const checked = contentChecks(rulesOf(wanted), listener, maxBytes)?.(content)
  assert.ok(checked)
  const octets = Buffer.from(message as string)
  for (let from = 0; from < octets.length; from += pieceBytes)
    await checked.write(octets.subarray(from, from + pieceBytes))
  await checked.end()
  return { text: Buffer.concat(written).toString('latin1'), checked }
}

const message = [
  'Subject: one',
  'Content-Type: multipart/mixed; boundary=a',
  '',
  'preamble',
  '--a',
  'Content-Type: text/plain;',
  '\tname=notes.txt',
  'X-Mailer: Foo',
  '',
  'Hello',
  'click here',
  '--a',
  'Content-Type: message/rfc822',
  '',
  'Received: from desk',
  'Subject: two',
  'Content-Type: multipart/x; boundary="b b"',
  '',
  '--b b',
  'Content-Disposition: attachment;',
  ' filename="bad.exe"',
  '',
  'click there',
  '--b b--',
  '--a--',
  'click behind',
  '',
].join('\r\n')

test('fields of parts and of attached messages are removed and replaced, whatever the pieces they come in', async () => {
  const wanted: Wanted = {
    mimeHeader: [
      { expression: '^X-Mailer:', action: { kind: 'ignore' } },
      { expression: '^Content-Type: .*name=(.*)$', action: { kind: 'prepend', field: 'X-Name: $1' } },
      {
        expression: 'name="(.*)[.]exe"',
        action: { kind: 'replace', field: 'Content-Disposition: inline; filename="$1.txt"' },
      },
    ],
    nestedHeader: [{ expression: '^Received:', action: { kind: 'ignore' } }],
  }
  const expected = message
    .replace('Content-Type: text/plain;', 'X-Name: notes.txt\r\nContent-Type: text/plain;')
    .replace('X-Mailer: Foo\r\n', '')
    .replace('attachment;\r\n filename="bad.exe"', 'inline; filename="bad.txt"')
    .replace('Received: from desk\r\n', '')
  for (const pieceBytes of [1, 2, 7, 64, 1_000_000])
    assert.equal((await pass(wanted, message, pieceBytes)).text, expected, String(pieceBytes))
})

test('the boundary of a multipart that has ended is text', async () => {
  const part = (boundary: string): string => `Content-Type: multipart/x; boundary=${boundary}\r\n\r\n--${boundary}\r\n`
  const rule = { expression: '^X-Mailer:', action: { kind: 'ignore' } } as const
  const content = `${part('a')}${part('b')}\r\ntext\r\n--a\r\n\r\n--b\r\nX-Mailer: text\r\n--a--\r\n`
  assert.equal((await pass({ mimeHeader: [rule] }, content)).text, content)
})

test('lines of the body are taken out, replaced and put in; header fields are none of them', async () => {
  const { text } = await pass(
    {
      body: [
        { expression: '^click (here|there)$', action: { kind: 'replace', line: 'do not click $1' } },
        { expression: '^click', action: { kind: 'ignore' } },
        { expression: '^hello', action: { kind: 'prepend', line: 'Well,' } },
        { expression: '^(subject|content-|x-mailer|received)', action: { kind: 'reject', text: '550 5.7.1 no' } },
      ],
    },
    message,
  )
  const expected = message
    .replace('click here', 'do not click here')
    .replace('click there', 'do not click there')
    .replace('click behind\r\n', '')
    .replace('Hello', 'Well,\r\nHello')
  assert.equal(text, expected)
})

test('as much of each part is looked at as the limit says', async () => {
  const parts = ['--a', '', 'x'.repeat(20), 'bad', '--a', '', 'bad', '--a--', ''].join('\r\n')
  const content = `Content-Type: multipart/mixed; boundary=a\r\n\r\n${parts}`
  const body = [{ expression: '^bad$', action: { kind: 'ignore' } }] as const
  assert.equal((await pass({ body, bodyBytes: 22 }, content)).text, content.replace('bad\r\n--a--', '--a--'))
  assert.equal((await pass({ body, bodyBytes: 23 }, content)).text, content.replaceAll('bad\r\n', ''))
})

test('a long line is searched to its end, and goes or stays whole', async () => {
  const words = `${'word '.repeat(2_000)}needle${' word'.repeat(2_000)}`
  const content = `Subject: x\r\n\r\n${words}\r\nnext\r\n`
  const ignore = [{ expression: 'needle', action: { kind: 'ignore' } }] as const
  for (const pieceBytes of [1_000, 1_000_000])
    assert.equal((await pass({ body: ignore }, content, pieceBytes)).text, 'Subject: x\r\n\r\nnext\r\n')
  const endless = `Subject: x\r\n\r\n${'y'.repeat(300_000)}\r\nnext\r\n`
  const keep = [{ expression: 'z', action: { kind: 'ignore' } }] as const
  assert.equal((await pass({ body: keep, bodyBytes: 1_000_000 }, endless, 5_000)).text, endless)
  const all = [{ expression: '^y', action: { kind: 'ignore' } }] as const
  assert.equal((await pass({ body: all, bodyBytes: 1_000_000 }, endless, 5_000)).text, 'Subject: x\r\n\r\nnext\r\n')
})

test('letters stay as they are written, in UTF-8 and in latin1', async () => {
  const body = [{ expression: '^(caf.) x', action: { kind: 'replace', line: '$1' } }] as const
  for (const encoding of ['utf8', 'latin1'] as const) {
    const content = Buffer.from('Subject: x\r\n\r\ncafé x\r\n', encoding)
    const expected = Buffer.from('Subject: x\r\n\r\ncafé\r\n', encoding).toString('latin1')
    assert.equal((await pass({ body }, content)).text, expected)
  }
})

test('what no rule matches goes through octet by octet', async () => {
  const rule = { expression: '^never seen$', action: { kind: 'ignore' } } as const
  const line = fc.oneof(
    fc.constantFrom('--a', '--a--', '', ' x', 'Content-Type: multipart/x; boundary=a', 'Content-Type: message/rfc822'),
    fc.string({ maxLength: 30 }).map((text) => text.replaceAll(/[\r\n]/g, '')),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(line), fc.integer({ min: 1, max: 9 }), fc.boolean(), async (lines, pieceBytes, ends) => {
      const content = `${lines.join('\r\n')}${ends ? '\r\n' : ''}`
      const { text } = await pass({ mimeHeader: [rule], nestedHeader: [rule], body: [rule] }, content, pieceBytes)
      assert.equal(text, Buffer.from(content).toString('latin1'))
    }),
  )
})

test('no message makes the search slow or large', async () => {
  const rule = { expression: '^(a|b)*never$', action: { kind: 'ignore' } } as const
  const wanted = { mimeHeader: [rule], nestedHeader: [rule], body: [rule], bodyBytes: 1_000 }
  for (const content of [
    Array.from({ length: 3_000 }, (_one, n) => `Content-Type: multipart/x; boundary=b${n}\r\n\r\n--b${n}\r\n`).join(''),
    `Content-Type: multipart/x; boundary=b\r\n\r\n${'--b\r\n'.repeat(20_000)}`,
    `Content-Type: multipart/x; boundary=b\r\n\r\n--b\r\nX: ${'y'.repeat(300_000)}\r\n ${'z'.repeat(300_000)}\r\n\r\nx\r\n`,
    `Content-Type: message/rfc822\r\n\r\n`.repeat(3_000),
    `X: y\r\n\r\n${'x'.repeat(1_000_000)}`,
  ])
    assert.equal((await pass(wanted, content, 65_536)).text, content)
})

test('of a line or a field that never ends no more than a piece is kept back', async () => {
  const rule = { expression: '^never$', action: { kind: 'ignore' } } as const
  for (const begin of ['X: y\r\n\r\n', 'Content-Type: multipart/x; boundary=b\r\n\r\n--b\r\nX: y\r\n', 'X: y\r\n']) {
    for (const piece of ['z'.repeat(50_000), ` ${'z'.repeat(49_997)}\r\n`]) {
      let keptBytes = 0
      const content = { write: (chunk: Buffer) => void (keptBytes -= chunk.length), abort: () => Promise.resolve() }
      const checked = contentChecks(rulesOf({ mimeHeader: [rule], body: [rule] }), listener, 1_000_000)?.(content)
      for (const part of [begin, ...Array<string>(40).fill(piece)]) {
        keptBytes += part.length
        await checked?.write(Buffer.from(part))
        assert.ok(keptBytes <= 200_000, `${keptBytes} octets are kept back`)
      }
    }
  }
})

test('a message of a million matches is no million of warnings', async () => {
  const rule = { expression: 'x', action: { kind: 'warn', text: 'seen' } } as const
  const content = `Content-Type: multipart/x; boundary=b\r\n\r\n${'--b\r\n\r\nx\r\n'.repeat(20_000)}`
  const { text, checked } = await pass({ body: [rule] }, content, 65_536)
  assert.equal(text, content)
  assert.equal(checked.findings.warnings.length, 100)
})

async function start(t: TestContext, wanted: Wanted): Promise<TestInbound> {
  const inbound = await startInbound({
    configuration: { pipeline: { ...testPipeline, contentRules: rulesOf(wanted) } },
  })
  t.after(() => inbound.close())
  return inbound
}

async function send(t: TestContext, inbound: TestInbound, content: string): Promise<string> {
  const client = await SmtpClient.ready({ port: inbound.port, timeoutMs: 60_000 })
  t.after(() => client.destroy())
  return (await client.send({ from: 'a@example.net', to: ['jane@example.org'], content })).raw
}

test('a word of the body refuses the message at the end of DATA, and nothing of it is kept', async (t) => {
  const inbound = await start(t, {
    body: [
      { expression: 'seen', action: { kind: 'warn', text: 'look' } },
      { expression: 'buy (now|here)', action: { kind: 'reject', text: '550 5.7.1 not $1' } },
    ],
  })
  assert.equal(
    await send(t, inbound, `Subject: x\r\n\r\nseen\r\nBuy now\r\n${'x\r\n'.repeat(5_000)}`),
    '550 5.7.1 not now',
  )
  assert.equal(inbound.aborted(), 1)
  assert.deepEqual(
    inbound.filterReports.map(({ filter, text }) => [filter, text]),
    [['body match', 'look: seen']],
  )
  assert.match(await send(t, inbound, 'Subject: buy now\r\n\r\n.x\r\n'), /^250 /)
  assert.equal(inbound.accepted[0]?.content, 'Subject: buy now\r\n\r\n.x\r\n')
})

test('chunks are compared as DATA is, lines that two of them share, too; a refusal comes with its chunk', async (t) => {
  const inbound = await start(t, {
    body: [
      { expression: '^hello$', action: { kind: 'replace', line: 'good-bye' } },
      { expression: '^bad$', action: { kind: 'reject', text: '550 5.7.1 no' } },
    ],
  })
  const client = await SmtpClient.ready({ port: inbound.port, timeoutMs: 60_000 })
  t.after(() => client.destroy())
  const say = async (...lines: readonly string[]): Promise<string> => {
    client.write(Buffer.from(lines.join('\r\n')))
    return (await client.reply()).raw
  }
  for (const line of ['MAIL FROM:<a@example.net>', 'RCPT TO:<jane@example.org>']) await say(line, '')
  assert.match(await say('BDAT 17', 'Subject: x', '', 'hel'), /^250 /)
  assert.match(await say('BDAT 2 LAST', 'lo'), /^250 /)
  assert.equal(inbound.accepted[0]?.content, 'Subject: x\r\n\r\ngood-bye\r\n')
  for (const line of ['MAIL FROM:<a@example.net>', 'RCPT TO:<jane@example.org>']) await say(line, '')
  assert.equal(await say('BDAT 19', 'Subject: x', '', 'bad', ''), '550 5.7.1 no')
})

test('hold, discard and redirect of the body count as those of the header', async (t) => {
  const hold = { kind: 'hold', reason: 'body match: look' } as const
  const discard = { kind: 'discard', reason: 'body match' } as const
  const inbound = await start(t, {
    body: [
      { expression: '^hold', action: hold },
      { expression: '^drop', action: discard },
      { expression: '^list', action: { kind: 'redirect', mailbox: 'list@example.org' as Mailbox } },
      { expression: '^bad', action: { kind: 'reject', text: '550 5.7.1 no' } },
    ],
    mimeHeader: [{ expression: '^MIME-Version:', action: { kind: 'ignore' } }],
  })
  for (const body of ['hold', 'hold\r\ndrop\r\nbad', 'list'])
    assert.match(await send(t, inbound, `MIME-Version: 1.0\r\nSubject: x\r\n\r\n${body}\r\n`), /^250 /)
  assert.deepEqual(
    inbound.accepted.map(({ fate, envelope }) => [fate, envelope.recipients.map(({ mailbox }) => mailbox)]),
    [
      [hold, ['jane@example.org']],
      [discard, ['jane@example.org']],
      [undefined, ['jane@example.org', 'john@example.org']],
    ],
  )
  assert.doesNotMatch(inbound.accepted[0]?.message ?? '', /MIME-Version/, 'a field of MIME in the own header')
})

test('rules make no message longer than it may be, and what a filter made longer stays', async (t) => {
  const prepend: Wanted = {
    body: [{ expression: '^$', action: { kind: 'prepend', line: 'y'.repeat(900) } }],
    bodyBytes: 10_000_000,
  }
  const message = `Subject: x\r\n\r\nx\r\n${'\r\n'.repeat(900)}`
  const { text } = await pass(prepend, message)
  assert.equal(text.length, message.length + 900 * 902)
  assert.equal((await pass(prepend, message, 10, text.length)).text, text)
  const tooBig = { message: '552 5.3.4 Message size exceeds the limit' }
  for (const pieceBytes of [10, 1_000_000])
    await assert.rejects(pass(prepend, message, pieceBytes, text.length - 1), tooBig)
  const kept = await pass({ body: [{ expression: '^z$', action: { kind: 'ignore' } }] }, message, 10, 5)
  assert.equal(kept.text, message)
  const inbound = await start(t, prepend)
  assert.match(await send(t, inbound, `${message}${'\r\n'.repeat(900)}`), /^552 5\.3\.4 /)
  assert.equal(inbound.aborted(), 1)
})

test('a rule for another listener costs this one nothing', () => {
  const rule = { expression: 'x', action: { kind: 'ignore' }, for: { kind: 'tag', tag: 'Out' } } as const
  assert.equal(contentChecks(rulesOf({ body: [rule], mimeHeader: [rule] }), listener, 1_000_000), undefined)
})
