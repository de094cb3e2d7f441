import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { HeaderEdit } from '../mail/header-edit.ts'
import { newMessageId } from '../mail/message-id.ts'
import { safeReport, withoutReport } from '../mail/safe-report.ts'
import { outgoingContent } from './outgoing-content.ts'

const header = 'From: jane@example.org\r\nSubject: Hello\r\n\r\n'

async function leaving(body: string, edits: readonly HeaderEdit[]): Promise<string> {
  const content = Buffer.from(`${header}${body}`)
  const stored = {
    locator: { sizeBytes: content.length, headerBytes: header.length },
    header: () => Promise.resolve(Buffer.from(header)),
    content: () => Promise.resolve(content),
    async *stream(start = 0) {
      yield content.subarray(start)
    },
  }
  const { sizeBytes, read } = await outgoingContent(stored, edits, 'Received: by us\r\n')
  const pieces: Buffer[] = []
  for await (const piece of read()) pieces.push(Buffer.from(piece))
  const text = Buffer.concat(pieces).toString()
  assert.equal(text.length, sizeBytes)
  return text
}

test('what leaves is the stored message with its edits, short and long, and attached to a report, too', async () => {
  for (const body of ['hello\r\n', 'a line of text\r\n'.repeat(30_000)]) {
    assert.equal(await leaving(body, []), `Received: by us\r\n${header}${body}`)
    const report = safeReport(newMessageId(1_700_000_000_000), ['junk'])
    const edits = [
      { kind: 'remove', name: 'Subject' } as const,
      report,
      { kind: 'prepend', fields: 'X-A: b\r\n' } as const,
    ]
    const text = await leaving(body, edits)
    assert.match(text, /^Received: by us\r\nX-A: b\r\nFrom: jane@example\.org\r\nMIME-Version: 1\.0\r\n/)
    assert.equal(withoutReport(Buffer.from(text)).toString(), `From: jane@example.org\r\n\r\n${body}`)
  }
})
