import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { JournalEntry } from '../journal.ts'
import { tellStory } from './story.ts'

const id = '0mi8v2c4bm00000001'
const at = Date.UTC(2026, 10, 21, 3, 0, 0)

function told(entries: readonly JournalEntry[]): readonly string[] {
  return tellStory(entries).map((line) => `+${line.at - at} ${line.tone} ${line.text}`)
}

test('the story of a filtered message reads from reception to delivery', () => {
  const to = ['jane@example.org']
  const lines = told([
    { at: at + 40, event: 'delivered', id, recipient: to[0], stage: 'deliver', reply: '250 2.0.0 Saved', ageMs: 40 },
    {
      at,
      event: 'received',
      id,
      from: 'joe@example.net',
      to,
      sizeBytes: 4300,
      listener: '127.0.0.1:2525',
      address: '192.0.2.1',
      helo: 'mx.example.net',
      tls: 'TLSv1.3',
    },
    { at: at + 1, event: 'routed', id, to, rule: 'smtpd.conf:12', queue: 'filter', tags: [] },
    {
      at: at + 20,
      event: 'filtered',
      id,
      verdict: 'clean',
      score: 1.5,
      symbols: ['SPF_PASS', 'DKIM_NONE'],
      authentication: 'spf=pass',
    },
    { at: at + 21, event: 'passed', id, stage: 'filter', tag: 'Filtered', tookMs: 18 },
    {
      at: at + 22,
      event: 'routed',
      id,
      to,
      rule: 'smtpd.conf:14',
      queue: 'deliver',
      action: 'mailbox',
      tags: ['Filtered'],
    },
  ])
  assert.deepEqual(lines, [
    '+0 plain received from joe@example.net for jane@example.org, 4.2 KiB, on 127.0.0.1:2525, client 192.0.2.1 (mx.example.net), TLSv1.3',
    '+1 plain rule smtpd.conf:12 sends jane@example.org to queue filter',
    '+20 plain filtered: clean, score 1.5 (SPF_PASS, DKIM_NONE); spf=pass',
    '+21 plain filter done in 18 ms, tag Filtered added',
    '+22 plain rule smtpd.conf:14 sends jane@example.org to queue deliver, action mailbox (tags Filtered)',
    '+40 good delivered to jane@example.org: 250 2.0.0 Saved',
  ])
})

test('the story tells that the filter was asked before acceptance, how long it took, and what came of it', () => {
  assert.deepEqual(
    told([
      { at, event: 'judged', id, stage: 'filter', decision: 'pass', tookMs: 120 },
      { at: at + 1, event: 'undecided', id, stage: 'filter', reason: 'nobody answered in time', tookMs: 8_000 },
    ]),
    [
      '+0 plain filter asked before acceptance: pass, in 120 ms',
      '+1 waiting filter asked before acceptance: no decision after 8 s (nobody answered in time)',
    ],
  )
})

test('a report on us is told with who reports, and whose mail brought it', () => {
  const report = { at, event: 'report received', id, kind: 'dmarc', org: 'Receiver', about: 'example.org' }
  assert.deepEqual(
    told([
      { ...report, kept: 'kept', mail: 'receiver.test', dmarc: 'pass' },
      { ...report, at: at + 1, kept: 'known', mail: 'receiver.test' },
      { at: at + 2, event: 'report unreadable', id, reason: 'not well-formed XML' },
    ]),
    [
      '+0 plain report (dmarc) of Receiver on example.org kept; its mail is of receiver.test, DMARC pass',
      '+1 plain report (dmarc) of Receiver on example.org is known already; its mail is of receiver.test',
      '+2 waiting no report was read: not well-formed XML',
    ],
  )
})

test('a delay names the reply and the next attempt, a bounce the report that went out', () => {
  const attempt = { id, recipient: 'jane@example.org', stage: 'relay', remoteMta: 'mx.example.org[192.0.2.9]:25' }
  const lines = told([
    { at, event: 'received', id, from: null, to: ['jane@example.org'], sizeBytes: 12 },
    {
      at: at + 1,
      event: 'delayed',
      ...attempt,
      reply: '451 4.7.1 Not yet',
      class: 'greylisted',
      nextAt: at + 60_000,
      attempts: 1,
    },
    { at: at + 2, event: 'expired', ...attempt, reply: '554 5.4.7 Expired', ageMs: 4 * 86_400_000 },
    { at: at + 3, event: 'reported', id: '0mi8v2c4bm00000002', about: id, to: 'joe@example.net', action: 'failed' },
  ])
  assert.deepEqual(lines, [
    '+0 plain received from <> for jane@example.org, 12 B',
    '+1 waiting not yet delivered to jane@example.org by mx.example.org[192.0.2.9]:25: 451 4.7.1 Not yet (greylisted); next attempt at 2026-11-21 03:01:00.000Z (attempts so far: 1)',
    '+2 bad given up for jane@example.org after 4 d by mx.example.org[192.0.2.9]:25: 554 5.4.7 Expired',
    '+3 plain report (failed) about 0mi8v2c4bm00000001 sent to joe@example.net as 0mi8v2c4bm00000002',
  ])
})

test('an entry of an unknown kind or with fields missing is told by what it has', () => {
  assert.deepEqual(
    told([
      { at, event: 'greylisted', id, first: true, seconds: 300 },
      { at: at + 1, event: 'delivered' },
    ]),
    ['+0 plain greylisted: first true, seconds 300', '+1 good delivered to ?'],
  )
})

test('the story tells by what TLS the next hop was reached, and whether its certificate was checked', () => {
  const relayed = { at, event: 'relayed', id, recipient: 'ann@far.test', stage: 'relay', reply: '250 2.0.0 ok' }
  const tls = 'TLSv1.3 TLS_AES_256_GCM_SHA384'
  assert.deepEqual(told([{ ...relayed, remoteMta: 'mx.far.test[192.0.2.1]:25', tls, tlsTrust: 'mta-sts' }]), [
    `+0 good relayed to ann@far.test by mx.far.test[192.0.2.1]:25 over ${tls} (mta-sts): 250 2.0.0 ok`,
  ])
  assert.deepEqual(told([{ ...relayed, remoteMta: 'mx.far.test[192.0.2.1]:25', starttls: 'offered, not used' }]), [
    '+0 good relayed to ann@far.test by mx.far.test[192.0.2.1]:25 in clear (STARTTLS offered, not used): 250 2.0.0 ok',
  ])
})

test('a session stands before what came by it, as long before as it lasted', () => {
  const at = Date.UTC(2026, 10, 21, 12)
  const session = { address: '192.0.2.1', listener: '0.0.0.0:25', sessionMs: 1_500 }
  const told = tellStory([{ at, event: 'received', id: 'x', from: null, to: ['jane@example.org'], ...session }])
  assert.deepEqual(
    told.map((line) => [line.at - at, line.event, line.text]),
    [
      [-1_500, 'connected', 'connected: client 192.0.2.1 on 0.0.0.0:25'],
      [0, 'received', 'received from <> for jane@example.org, on 0.0.0.0:25, client 192.0.2.1'],
    ],
  )
})
