import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { readMail } from '../classifier/readable-mail.ts'
import type { Mailbox } from '../mail/address.ts'
import { isSevenBit } from '../mail/dsn-encoding.ts'
import { headerFields } from '../mail/header-edit.ts'
import { newMessageId } from '../mail/message-id.ts'
import { composeDigest } from './digest-mail.ts'
import type { DigestEntry } from './digest-mail.ts'
import { readableLine } from './readable-line.ts'

const nowAt = Date.UTC(2026, 10, 21, 12)
const url = 'https://mail.example.org/quarantine/x.0.release.y.z'

function digestOf(entries: readonly DigestEntry[], more = 0): Buffer {
  const to = 'jane@sluice.test' as Mailbox
  return composeDigest({
    id: newMessageId(nowAt),
    hostname: 'mx.sluice.test',
    to,
    nowAt,
    entries,
    more,
    linksExpireAt: nowAt,
  })
}

function entry(fields: Partial<DigestEntry> = {}): DigestEntry {
  const from = 'win@spam.example' as Mailbox
  return { from, receivedAt: nowAt, reason: 'spam score 7.3 of 5', links: [{ action: 'release', url }], ...fields }
}

function partsOf(mail: Buffer): readonly string[] {
  const raw = mail.toString('latin1')
  const boundary = /boundary="([^"]+)"/.exec(raw)?.[1] ?? ''
  return raw
    .split(`--${boundary}`)
    .slice(1, 3)
    .map((part) => Buffer.from(unquoted(part.slice(part.indexOf('\r\n\r\n') + 4)), 'latin1').toString('utf8'))
}

function unquoted(text: string): string {
  return text
    .replaceAll('=\r\n', '')
    .replaceAll(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}

test('a digest tells who wrote what, why it was kept back, and what can be done, as text and in HTML', () => {
  const author = 'Zażółć <z@spam.example>'
  const mail = digestOf([entry({ author, subject: 'Grüße & Küsse' }), entry()], 3)
  const names = headerFields(mail).map(({ name }) => name)
  for (const name of ['date', 'from', 'to', 'subject', 'message-id', 'auto-submitted', 'mime-version'])
    assert.equal(names.filter((one) => one === name).length, 1, name)
  assert.match(mail.toString(), /^Subject: 5 messages were kept back\r$/m)
  assert.ok(isSevenBit(mail))
  const [text = '', markup = ''] = partsOf(mail)
  assert.match(text, /From: +Zażółć <z@spam\.example>\r\nSender: +win@spam\.example\r\nSubject: +Grüße & Küsse\r\n/)
  assert.match(
    text,
    /Kept back: spam score 7\.3 of 5[^]*Deliver it:\r\n {4}https:\/\/mail\.example\.org\/quarantine\/x/,
  )
  assert.match(text, /And 3 messages more\./)
  assert.match(markup, /Zażółć &lt;z@spam\.example&gt;[^]*Grüße &amp; Küsse[^]*<a href="https:\/\/mail/)
  assert.equal(readMail(mail).texts.length, 2)
})

test('what a stranger wrote makes no line, no field, no markup and no link of its own', () => {
  const evil = [
    'x\r\nBcc: victim@example.net\r\n\r\n<script>alert(1)</script>',
    '"><a href="http://evil.example">Deliver it</a>',
    'a\u2028Deliver it:\u2029 https://evil.example/ \u202eoderp',
    `--=_${newMessageId(nowAt)}--`,
    '\ud800 lone',
  ]
  for (const text of evil) {
    const mail = digestOf([entry({ author: text, subject: text, reason: text, from: text as Mailbox })])
    const plain = digestOf([entry({ author: 'x', subject: 'x', reason: 'x', from: 'x' as Mailbox })])
    assert.equal(headerFields(mail).length, headerFields(plain).length)
    const [[lines = '', markup = ''], [otherLines = '', otherMarkup = '']] = [partsOf(mail), partsOf(plain)]
    assert.equal(lines.split('\r\n').length, otherLines.split('\r\n').length)
    assert.equal(markup.match(/</g)?.length, otherMarkup.match(/</g)?.length, text)
    assert.equal(lines.match(/:\/\//g)?.length, 1, 'only our own link')
  }
})

test('a foreign text is one short line, whatever it is made of', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 400 }), (text) => {
      const line = readableLine(text)
      assert.doesNotMatch(line, /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e]|:\/\//)
      assert.ok(line.length <= 200)
      assert.equal(Buffer.from(line).toString(), line)
    }),
  )
  assert.equal(readableLine('=?utf-8?q?x?= <a@b.c>'), '=?utf-8?q?x?= <a@b.c>')
  assert.equal(readableLine('x'.repeat(300)).length, 200)
})
