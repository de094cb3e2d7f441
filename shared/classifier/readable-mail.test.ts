import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { featuresOf } from './features.ts'
import { readMail } from './readable-mail.ts'

function mail(...lines: readonly string[]): Buffer {
  return Buffer.from(lines.join('\r\n'), 'latin1')
}

function textsOf(content: Buffer): readonly string[] {
  return readMail(content).texts.map(({ text }) => text.trim())
}

test('text is read in the charset and the encoding it was sent in', () => {
  const cases: readonly (readonly [string, string, string])[] = [
    ['text/plain; charset=utf-8', 'base64', Buffer.from('Grüße').toString('base64')],
    ['text/plain; charset=iso-8859-1', 'quoted-printable', 'Gr=FC=DFe'],
    ['text/plain; charset="UTF-8"', 'quoted-printable', 'Gr=C3=BC=\r\n=C3=9Fe'],
    ['text/plain; charset=no-such-charset', '8bit', 'Gr\xfc\xdfe'],
    ['text/plain', '8bit', 'Gr\xc3\xbc\xc3\x9fe'],
    ['text/html; charset=utf-8', '7bit', '<p>Gr&#252;<b>&#xDF;</b>e'],
  ]
  for (const [type, encoding, body] of cases)
    assert.deepEqual(
      textsOf(mail(`Content-Type: ${type}`, `Content-Transfer-Encoding: ${encoding}`, '', body)),
      ['Grüße'],
      `${type} ${encoding}`,
    )
})

test('all parts are read, nested ones and attached messages too, with or without a closing boundary', () => {
  const content = mail(
    'Subject: =?utf-8?Q?Gr=C3=BC?= =?utf-8?B?w59l?=',
    'Content-Type: multipart/mixed; boundary=out',
    '',
    'preamble',
    '--out',
    'Content-Type: multipart/alternative; boundary="in"',
    '',
    '--in',
    '',
    'plain',
    '--in',
    'Content-Type: text/html',
    '',
    '<style>p { color: red }</style><a href="http://a.example/x.html">html</a><img src=cid:1>',
    '--in--',
    '--out',
    'Content-Type: message/rfc822',
    '',
    'Subject: attached',
    '',
    'forwarded',
    '--out',
    'Content-Type: application/pdf; name="Bill.PDF"',
    '',
    'JVBERi0x',
  )
  const read = readMail(content)
  assert.equal(read.fields[0]?.value, 'Grüße')
  assert.deepEqual(textsOf(content), ['plain', 'html', 'forwarded'])
  assert.deepEqual(read.texts[1]?.html?.links, ['http://a.example/x.html', 'cid:1'])
  assert.deepEqual(
    read.parts.map(({ type, extension }) => `${type} ${extension}`.trim()),
    ['text/plain', 'text/html', 'message/rfc822', 'text/plain', 'application/pdf pdf'],
  )
})

test('no message makes the reading throw, and none makes it endless', () => {
  const lines = fc.array(
    fc.oneof(
      fc.constantFrom(
        '--b',
        '--b--',
        '',
        'Content-Type: multipart/x; boundary=b',
        'Content-Type: message/rfc822',
        '<!--',
      ),
      fc.constantFrom('Content-Transfer-Encoding: base64', 'Content-Transfer-Encoding: quoted-printable', '<a href='),
      fc.string({ maxLength: 40 }),
    ),
  )
  fc.assert(fc.property(lines, (all) => void featuresOf(mail(...all))))
  fc.assert(fc.property(fc.uint8Array({ maxLength: 3_000 }), (octets) => void featuresOf(Buffer.from(octets))))
  for (const poison of [
    `\r\n${' '.repeat(900_000)}`,
    `\r\n${'a'.repeat(900_000)}`,
    `\r\n${'http://'.repeat(120_000)}`,
    `Content-Type: text/html\r\n\r\n${'<'.repeat(900_000)}`,
    `Content-Type: text/html\r\n\r\n${'<script>'.repeat(20_000)}`,
    `Content-Type: text/html\r\n\r\n${'<a href='.repeat(20_000)}`,
    `Content-Type: text/html\r\n\r\n${'&#'.repeat(60_000)}`,
    `Subject: ${'=?utf-8?q?'.repeat(20_000)}\r\n\r\n`,
    `From: ${'<@'.repeat(20_000)}\r\n\r\n`,
    `Content-Type: x;${' name'.repeat(20_000)}\r\n\r\n`,
    `${'X: y\r\n'.repeat(100_000)}\r\n`,
    `Content-Type: multipart/x; boundary=b\r\n\r\n${'--b\r\n\r\n'.repeat(100_000)}`,
    Array.from({ length: 5_000 }, (_one, n) => `Content-Type: multipart/x; boundary=b${n}\r\n\r\n--b${n}\r\n`).join(''),
    `\r\n${'\u200b'.repeat(100_000)}`,
  ])
    assert.ok(featuresOf(Buffer.from(poison)).length < 20_000)
})
