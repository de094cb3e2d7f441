import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import type { Mailbox } from './address.ts'
import { composeDsn, wantsReport } from './dsn.ts'
import type { DsnReport } from './dsn.ts'
import { encodeQuotedPrintable, isSevenBit } from './dsn-encoding.ts'
import type { MessageId } from './message-id.ts'

const header = Buffer.from(
  'Received: from a\r\nMessage-ID: <one@example.net>\r\nReferences: <zero@example.net>\r\nSubject: Hi\r\n\r\n',
)

function report(changes: Partial<DsnReport> = {}): DsnReport {
  return {
    action: 'failed',
    id: '0mf4bounce00000000' as MessageId,
    hostname: 'mail.example.org',
    nowAt: Date.UTC(2026, 10, 21, 3, 0, 0),
    original: {
      id: '0mf4original000000' as MessageId,
      reversePath: 'jane@example.net' as Mailbox,
      receivedAt: Date.UTC(2026, 10, 21, 2, 0, 0),
      envid: 'QQ+2B314',
      header,
    },
    recipients: [
      {
        mailbox: 'joe@example.com' as Mailbox,
        original: 'sales@example.org' as Mailbox,
        orcpt: 'rfc822;sales+2B1@example.org',
        reply: { code: 550, enhanced: '5.1.1', text: 'No such user\nSorry' },
        remoteMta: 'mx.example.com[192.0.2.1]:25',
        lastAttemptAt: Date.UTC(2026, 10, 21, 2, 59, 0),
      },
    ],
    ...changes,
  }
}

function partsOf(dsn: Buffer): string[] {
  const text = dsn.toString('latin1')
  const boundary = /boundary="([^"]+)"/.exec(text)?.[1] ?? ''
  return text.split(`--${boundary}`).slice(1, -1)
}

test('a failure report has the structure of RFC 6522 and the fields of RFC 3464', () => {
  const dsn = composeDsn(report()).toString('latin1')
  const head = dsn.slice(0, dsn.indexOf('\r\n\r\n'))
  assert.match(head, /^From: Mail Delivery System <MAILER-DAEMON@mail\.example\.org>\r$/m)
  assert.match(head, /^To: <jane@example\.net>\r$/m)
  assert.match(head, /^Auto-Submitted: auto-replied\r$/m)
  assert.match(head, /^In-Reply-To: <one@example\.net>\r$/m)
  assert.match(head, /^References: <zero@example\.net>\r\n <one@example\.net>\r$/m)
  assert.match(head, /^Content-Type: multipart\/report; report-type=delivery-status;\r\n boundary="/m)
  const [human = '', status = '', returned = '', ...more] = partsOf(Buffer.from(dsn, 'latin1'))
  assert.equal(more.length, 0)
  assert.match(human, /no such mailbox/)
  assert.match(human, /<joe@example\.com> \(you wrote to <sales@example\.org>\)/)
  assert.equal(
    status,
    [
      '',
      'Content-Type: message/delivery-status',
      '',
      'Reporting-MTA: dns; mail.example.org',
      'Original-Envelope-Id: QQ+314',
      'Arrival-Date: Sat, 21 Nov 2026 02:00:00 +0000',
      'X-Sluice-Message-Id: 0mf4original000000',
      '',
      'Original-Recipient: rfc822; sales+1@example.org',
      'Final-Recipient: rfc822; joe@example.com',
      'Action: failed',
      'Status: 5.1.1',
      'Remote-MTA: dns; mx.example.com',
      'Diagnostic-Code: smtp; 550 5.1.1 No such user Sorry',
      'Last-Attempt-Date: Sat, 21 Nov 2026 02:59:00 +0000',
      '',
      '',
    ].join('\r\n'),
  )
  assert.match(returned, /^\r\nContent-Type: text\/rfc822-headers\r\n\r\nReceived: from a\r\n/)
})

test('equal inputs give equal octets, so a report written twice is one message', () => {
  assert.deepEqual(composeDsn(report()), composeDsn(report()))
})

test('a delay report says until when we try', () => {
  const delayed = report({ action: 'delayed', willRetryUntil: Date.UTC(2026, 10, 25, 2, 0, 0) })
  const [human = '', status = ''] = partsOf(composeDsn(delayed))
  assert.match(human, /do not need to send it again/)
  assert.match(status, /^Action: delayed\r$/m)
  assert.match(status, /^Will-Retry-Until: Wed, 25 Nov 2026 02:00:00 \+0000\r$/m)
})

test('the whole message is returned when it was asked for and is 7-bit', () => {
  const { original } = report()
  const full = partsOf(composeDsn(report({ original: { ...original, body: Buffer.from('Hello\r\n') } })))[2] ?? ''
  assert.match(full, /^\r\nContent-Type: message\/rfc822\r\n\r\nReceived: from a\r\n/)
  assert.match(full, /\r\n\r\nHello\r\n\r\n$/)
})

test('a message of 8-bit octets comes back as its header section, and the report stays 7-bit', () => {
  const { original } = report()
  const eightBit = { ...original, header: Buffer.from('Subject: Grüße\r\n\r\n'), body: Buffer.from('ü\r\n') }
  const dsn = composeDsn(report({ original: eightBit }))
  assert.ok(isSevenBit(dsn))
  assert.match(
    dsn.toString('latin1'),
    /text\/rfc822-headers; charset=utf-8\r\n.*quoted-printable\r\n\r\nSubject: Gr=C3=BC=C3=9Fe/,
  )
})

test('an internationalised recipient is named in the escaped form of RFC 6533', () => {
  const [recipient] = report().recipients
  assert.ok(recipient)
  const jorg = { ...recipient, mailbox: 'jörg@exämple.org' as Mailbox, original: undefined, orcpt: undefined }
  const status = partsOf(composeDsn(report({ recipients: [jorg] })))[1] ?? ''
  assert.match(status, /^Final-Recipient: utf-8; j\\x\{F6\}rg@ex\\x\{E4\}mple\.org\r$/m)
})

test('a boundary that stands in the original is not used', () => {
  const { original } = report()
  const nested = composeDsn(report({ original: { ...original, body: Buffer.from(`--=_${report().id}\r\n`) } }))
  assert.equal(partsOf(nested).length, 3)
})

test('nothing a remote server says breaks the structure of the report', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 3000 }), (text) => {
      const [recipient] = report().recipients
      assert.ok(recipient)
      const reply = { code: 550, text: text.replaceAll(/[^\n\P{Cc}]/gu, ' ') }
      const dsn = composeDsn(report({ recipients: [{ ...recipient, reply }] }))
      assert.ok(isSevenBit(dsn))
      assert.equal(partsOf(dsn).length, 3)
    }),
  )
})

test('the path of a socket is not told to the sender', () => {
  const [recipient] = report().recipients
  assert.ok(recipient)
  const dsn = composeDsn(report({ recipients: [{ ...recipient, remoteMta: '/var/run/dovecot/lmtp' }] }))
  assert.ok(!dsn.includes('dovecot'))
})

test('NOTIFY decides who is told what', () => {
  const mailbox = 'joe@example.com' as Mailbox
  const kinds = ['failure', 'delay', 'success'] as const
  const wanted = (notify?: readonly ('never' | 'success' | 'failure' | 'delay')[]): string[] =>
    kinds.filter((kind) => wantsReport(notify === undefined ? { mailbox } : { mailbox, notify }, kind))
  assert.deepEqual(wanted(), ['failure', 'delay'])
  assert.deepEqual(wanted(['never']), [])
  assert.deepEqual(wanted(['success']), ['success'])
  assert.deepEqual(wanted(['failure']), ['failure'])
  assert.deepEqual(wanted(['failure', 'delay']), ['failure', 'delay'])
})

test('quoted-printable keeps every octet and no line is longer than 76', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 }), (lines) => {
      const text = Buffer.from(
        lines
          .map((line) =>
            Buffer.from(line)
              .toString('latin1')
              .replaceAll(/[\r\n]/g, '.'),
          )
          .join('\r\n'),
        'latin1',
      )
      const encoded = encodeQuotedPrintable(text).toString('latin1')
      for (const line of encoded.split('\r\n')) assert.ok(line.length <= 76)
      const decoded = encoded
        .replaceAll('=\r\n', '')
        .replaceAll(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
      assert.equal(decoded, text.toString('latin1'))
    }),
  )
})

test('a sender whose own address is not ASCII gets the report in the forms of RFC 6533', () => {
  const { original, recipients } = report()
  const utf8Header = Buffer.from('Message-ID: <one@example.net>\r\nSubject: Grüße\r\n\r\n')
  const dsn = composeDsn(
    report({
      original: {
        ...original,
        reversePath: 'jörg@example.net' as Mailbox,
        header: utf8Header,
        body: Buffer.from('ä\r\n'),
      },
      recipients: recipients.map((one) => ({
        ...one,
        mailbox: '用户@example.com' as Mailbox,
        orcpt: String.raw`utf-8;zo\x{EB}@example.org`,
      })),
    }),
  )
  const text = dsn.toString('utf8')
  assert.match(text, /^To: <jörg@example\.net>\r$/m)
  assert.match(text, /report-type=global-delivery-status;/)
  assert.match(text, /^Content-Type: message\/global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n/m)
  assert.match(text, /^Original-Recipient: utf-8; zoë@example\.org\r\nFinal-Recipient: utf-8; 用户@example\.com\r$/m)
  assert.match(text, /Content-Type: message\/global\r\n[^]*Subject: Grüße\r\n\r\nä\r\n/)
  const latin1 = {
    ...original,
    reversePath: 'jörg@example.net' as Mailbox,
    header: Buffer.from('Subject: \xfc\r\n\r\n', 'latin1'),
  }
  assert.match(composeDsn(report({ original: latin1 })).toString('latin1'), /text\/rfc822-headers[^]*Subject: =FC\r\n/)
  const asciiSender = composeDsn(
    report({ recipients: recipients.map((one) => ({ ...one, mailbox: '用户@a.org' as Mailbox })) }),
  )
  assert.ok(isSevenBit(asciiSender.subarray(asciiSender.indexOf('message/delivery-status'))))
  assert.match(asciiSender.toString(), /Final-Recipient: utf-8; \\x\{7528\}\\x\{6237\}@a\.org/)
})
