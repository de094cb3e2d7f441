import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'

import type { DestinationHistory } from '../../shared/destinations/known.ts'
import { withHistory } from '../../shared/report/destinations.ts'
import { historyText, listText } from './show-destinations.ts'
import { openTerminal } from './terminal.ts'

const nowAt = Date.UTC(2026, 10, 21, 12)
const terminal = openTerminal({ input: new PassThrough(), output: new PassThrough(), errors: new PassThrough() }, {})
const hostile = '\u001b[2J\r\u202e'

function history(fields: Partial<DestinationHistory> = {}): DestinationHistory {
  return {
    name: 'far.test',
    hours: [{ at: nowAt - 3_600_000, sent: 12, later: 1, refused: 3 }],
    refusals: [
      {
        replyClass: 'unknown-user',
        times: 3,
        reply: `550 ${hostile}`,
        host: 'mx.far.test[192.0.2.1]:25',
        at: nowAt - 60_000,
      },
    ],
    tls: { session: 'TLSv1.3 TLS_AES_256_GCM_SHA384', trust: 'dane', at: nowAt },
    policy: { type: 'dane', at: nowAt },
    lastAt: nowAt,
    ...fields,
  }
}

test('a line for each destination, and of one the hours and what it said', () => {
  const book = new Map([['far.test', history()]])
  assert.deepEqual(listText(withHistory([], book, new Map([['far.test', 120_000]])), nowAt, terminal), [
    'destination  waiting  delayed  oldest  sent, 24 h  put off  refused  TLS                                 it said',
    'far.test           0        0                  12        1        3  TLSv1.3 dane  left alone for 2 min',
  ])
  assert.deepEqual(historyText(history(), nowAt, terminal), [
    'far.test: 12 sent, 1 put off, 3 refused in 24 hours',
    'TLS: TLSv1.3 dane, DANE demanded',
    '  hour            sent  put off  refused',
    '  2026-11-21 11h    12        1        3',
    '  unknown-user  3 times  1 min ago  mx.far.test[192.0.2.1]:25  550 \\u{1b}[2J\\u{d}\\u{202e}',
  ])
})

test('a policy that is not met says why, and nothing that a host says drives the terminal', () => {
  const failing = history({ name: hostile, policy: { type: 'mta-sts', failure: hostile, at: nowAt } })
  const text = [
    ...historyText(failing, nowAt, terminal),
    ...listText(withHistory([], new Map([['x', failing]])), nowAt, terminal),
  ]
  assert.match(text.join('\n'), /MTA-STS demanded and not met: \\u\{1b\}/)
  assert.doesNotMatch(text.join('\n'), /[\u0000-\u0009\u000b-\u001f\u202e]/)
  assert.deepEqual(listText([], nowAt, terminal), [
    'No mail is on its way out, and none went out in the last 24 hours.',
  ])
})
