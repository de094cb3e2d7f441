import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { applyEdits, editMessage, unwrapped } from './header-edit.ts'
import type { HeaderEdit } from './header-edit.ts'
import { newMessageId } from './message-id.ts'
import { safeReport, withoutReport } from './safe-report.ts'

const id = newMessageId(1_700_000_000_000)
const header =
  'Received: from a\r\nFrom: jane@example.org\r\nX-Mailer: Foo\r\nSubject: buy\r\nContent-Type: text/html\r\n\r\n'

/** As it is delivered. */
function delivered(head: string, body: string, edits: readonly HeaderEdit[]): string {
  const edited = editMessage(Buffer.from(head, 'latin1'), edits)
  return Buffer.concat([edited.header, edited.before, Buffer.from(body, 'latin1'), edited.after]).toString('latin1')
}

test('a report shows who wrote it and what it is about, and has the message attached as it was', () => {
  const edits: readonly HeaderEdit[] = [
    { kind: 'prepend', fields: 'Received: by us\r\n' },
    safeReport(id, ['spam score 7', '*  7.0 BAD']),
    { kind: 'replace', name: 'Subject', field: 'Subject: ***SPAM*** buy\r\n' },
    { kind: 'prepend', fields: 'X-Spam: Yes\r\n' },
  ]
  const boundary = `=_sluice_report_${id}`
  assert.equal(
    delivered(header, '<b>now</b>\r\n', edits),
    [
      'X-Spam: Yes',
      'Received: by us',
      'Received: from a',
      'From: jane@example.org',
      'Subject: ***SPAM*** buy',
      'MIME-Version: 1.0',
      `Content-Type: multipart/mixed; boundary="${boundary}"`,
      'Content-Transfer-Encoding: 7bit',
      '',
      `--${boundary}`,
      'Content-Type: text/plain; charset=us-ascii',
      'Content-Disposition: inline',
      '',
      'spam score 7',
      '*  7.0 BAD',
      `--${boundary}`,
      'Content-Type: message/rfc822',
      'Content-Disposition: attachment; filename="message.eml"',
      'Content-Transfer-Encoding: 7bit',
      '',
      `Received: by us\r\n${header}<b>now</b>`,
      '',
      `--${boundary}--`,
      '',
    ].join('\r\n'),
  )
  assert.equal(applyEdits(Buffer.from(header), unwrapped(edits)).toString(), `Received: by us\r\n${header}`)
})

test('of a message of eight bits the report and what is attached say so', () => {
  const text = delivered(header, 'caf\u00e9', [safeReport(id, ['junk'], { eightBit: true })])
  assert.deepEqual(text.match(/Content-Transfer-Encoding: .*/g), Array(2).fill('Content-Transfer-Encoding: 8bit'))
})

test('the message comes out of its report octet by octet, at rest with LF too, and others stay as they are', () => {
  fc.assert(
    fc.property(
      fc.string(),
      fc.boolean(),
      fc.constantFrom(header, 'Subject: x\r\n\r\n', '\r\n'),
      (text, ends, head) => {
        const body = `${Buffer.from(text)
          .toString('latin1')
          .replaceAll(/[\r\n]/g, ' ')}${ends ? '\r\n' : ''}`
        const report = delivered(head, body, [safeReport(id, ['junk'])])
        assert.equal(withoutReport(Buffer.from(report, 'latin1')).toString('latin1'), `${head}${body}`)
        const atRest = report.replaceAll('\r\n', '\n')
        assert.equal(
          withoutReport(Buffer.from(atRest, 'latin1')).toString('latin1'),
          `${head}${body}`.replaceAll('\r\n', '\n'),
        )
        assert.equal(withoutReport(Buffer.from(`${head}${body}`, 'latin1')).toString('latin1'), `${head}${body}`)
      },
    ),
  )
})

test('a report that is cut off is taken as it is', () => {
  const report = Buffer.from(delivered(header, 'x\r\n', [safeReport(id, ['junk'])]))
  for (let end = 0; end < report.length - 10; end += 1) {
    const cut = report.subarray(0, end)
    assert.ok(withoutReport(cut).equals(cut))
  }
})

test('a message without a body, or without an end of its header, can be attached', () => {
  assert.match(
    delivered('Subject: x\r\n', '', [safeReport(id, ['junk'])]),
    /^Subject: x\r\nMIME-Version: 1\.0\r\n[^]*\r\n\r\nSubject: x\r\n\r\n--/,
  )
  assert.match(delivered('Subject: x', '', [safeReport(id, ['junk'])]), /^Subject: x\r\nMIME-Version: 1\.0\r\n/)
})
