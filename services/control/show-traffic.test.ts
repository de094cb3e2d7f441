import assert from 'node:assert/strict'
import { test } from 'node:test'

import { trafficText } from './show-traffic.ts'
import type { TrafficSeen } from './show-traffic.ts'

const sinceAt = Date.UTC(2026, 10, 21)
const seen: TrafficSeen = {
  sinceAt,
  hours: [
    { at: sinceAt, copies: { delivered: 30, failed: 2 } },
    { at: sinceAt + 3_600_000, copies: { delivered: 1_000 } },
  ],
  users: [{ user: 'jane', messages: 900, copies: 14_000, failed: 8_123, held: 4 }],
  senders: [{ sender: 'eve\u001b[2J@far.test', messages: 3, sizeBytes: 4_300 }],
  failures: [{ domain: 'far.test', copies: 7, class: 'unknown-user' }],
  hosts: [{ copies: 7 }],
  recipients: [{ domain: 'far.test', copies: 20, failed: 7 }],
}

test('what became of mail is told with who signed in and sent, senders, bounces, and where mail went', () => {
  assert.deepEqual(trafficText(seen, false), [
    'recipients by state  number',
    'delivered              1030',
    'failed                    2',
    '',
    'signed in as  messages  recipients  failed  held',
    'jane               900       14000    8123     4',
    '',
    'sender                 messages     size',
    'eve\\u{1b}[2J@far.test         3  4.2 KiB',
    '',
    'bounces by domain  recipients  about',
    'far.test                    7  unknown-user',
    '',
    'bounces by host      recipients  about',
    'none: it ended here           7  not said',
    '',
    'recipients at  number  failed',
    'far.test           20       7',
  ])
  assert.deepEqual(trafficText(seen, true).slice(4, 7), [
    'hour (UTC)        delivered  failed',
    '2026-11-21 00:00         30       2',
    '2026-11-21 01:00       1000       0',
  ])
})

test('a day without mail is one line', () => {
  const none = { ...seen, hours: [], users: [], senders: [], failures: [], hosts: [], recipients: [] }
  assert.deepEqual(trafficText(none, true), ['No mail since 2026-11-21.'])
})
