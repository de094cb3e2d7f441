import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'

import type { Mailbox } from '../../shared/mail/address.ts'
import type { MessageId } from '../../shared/mail/message-id.ts'
import type { MessageView } from '../../shared/report/views.ts'
import { messageText } from './show-message.ts'
import { openTerminal } from './terminal.ts'

const at = Date.UTC(2026, 10, 21, 3)
const id = '0mi8v2c4bm00000001' as MessageId
const terminal = openTerminal({ input: new PassThrough(), output: new PassThrough(), errors: new PassThrough() }, {})

const message: MessageView = {
  id,
  acceptedAt: at,
  knownFrom: 'spool',
  from: 'joe@example.net' as Mailbox,
  recipients: [
    { mailbox: 'jane@example.org', state: 'delivered', at: at + 40, detail: '250 2.0.0 Saved' },
    { mailbox: 'ann@example.org', original: 'staff@example.org', state: 'delayed', detail: '451 4.2.2 Mailbox full' },
  ],
  sizeBytes: 4300,
  origin: [{ name: 'client', value: '192.0.2.1 port 4000' }],
  tags: ['Filtered'],
  edits: ['add Received: from mx.example.net by mx.example.org'],
  stages: [{ stage: 'filter', changes: [{ kind: 'added', text: 'Received: from mx.example.net by mx.example.org' }] }],
  nextTalks: [{ at: at + 40, host: 'mx.far.test[192.0.2.1]:25', lines: ['C: QUIT', 'S: 221 \u001b[2J'] }],
  talk: ['C: DATA'],
  verdicts: [
    {
      at,
      verdict: 'tag',
      score: 6.2,
      reason: 'spam score 6.2 of 6',
      tests: [{ name: 'URIBL', score: 6.2, text: 'links to \u001b bad.example' }],
      authentication: [{ method: 'spf', result: 'pass', detail: 'smtp.mailfrom=example.net' }],
    },
  ],
  jobs: { kind: 'away', reason: 'Redis does not answer' },
  queues: [],
  story: [
    { at, event: 'received', text: 'received from joe@example.net', tone: 'plain' },
    { at: at + 40, event: 'delivered', text: 'delivered to jane\u001b[2J@example.org', tone: 'good' },
  ],
}

test('a message reads from top to bottom, and nothing in it drives the terminal', () => {
  assert.deepEqual(messageText(message, terminal, at + 65_000), [
    '0mi8v2c4bm00000001',
    '  from      joe@example.net',
    '  accepted  2026-11-21 03:00:00Z, 1 min 5 s ago',
    '  size      4.2 KiB',
    '  tags      Filtered',
    '  content   in the spool',
    '  client    192.0.2.1 port 4000',
    '',
    'recipients',
    '  jane@example.org                              delivered  2026-11-21 03:00:00Z  250 2.0.0 Saved',
    '  ann@example.org (given as staff@example.org)  delayed                          451 4.2.2 Mailbox full',
    '',
    'queues not seen: Redis does not answer',
    '',
    'filter',
    '  tag, score 6.2, spam score 6.2 of 6',
    '  URIBL  6.2  links to \\u{1b} bad.example',
    '  spf  pass  smtp.mailfrom=example.net',
    '',
    'header edits',
    '  filter',
    '  + Received: from mx.example.net by mx.example.org',
    '',
    'smtp',
    '  C: DATA',
    '',
    'smtp with mx.far.test[192.0.2.1]:25',
    '  C: QUIT',
    '  S: 221 \\u{1b}[2J',
    '',
    'story',
    '  2026-11-21 03:00:00.000Z  received from joe@example.net',
    '  2026-11-21 03:00:00.040Z  delivered to jane\\u{1b}[2J@example.org',
  ])
})
