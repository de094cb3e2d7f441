import assert from 'node:assert/strict'
import { test } from 'node:test'

import { createEvents } from './events.ts'
import type { AttemptFields } from './events.ts'
import { silentLog } from './log.ts'
import type { Mailbox } from './mail/address.ts'
import type { MessageId } from './mail/message-id.ts'
import { createMetrics } from './metrics.ts'

const id = '0mi8v2c4bm00000001' as MessageId
const session = { session: 's', listener: '127.0.0.1:25', address: '192.0.2.1' }

test('an event that has not happened counts 0, so that a rate sees the first', async (t) => {
  const metrics = createMetrics()
  t.after(() => metrics.close())
  const { values } = await metrics.events.get()
  const counts = new Map(values.map(({ labels, value }) => [labels.event, value]))
  for (const event of ['received', 'missing', 'reload refused', 'webhook dropped', 'auth failed'])
    assert.equal(counts.get(event), 0, event)
})

test('only counters have the name of one', async (t) => {
  const metrics = createMetrics()
  t.after(() => metrics.close())
  for (const { name, type } of await metrics.registry.getMetricsAsJSON())
    assert.equal(name.endsWith('_total'), String(type) === 'counter', name)
})

test('events count sessions, refusals, sizes, verdicts, and how long a copy took to its end', async (t) => {
  const metrics = createMetrics()
  t.after(() => metrics.close())
  const journal = { append: () => {}, flush: async () => {}, close: async () => {} }
  const events = createEvents({ log: silentLog(), metrics, journal, clock: { now: () => 7 } })
  events.connected(session)
  events.secured({ ...session, version: 'TLSv1.3', cipher: 'x', resumed: false })
  events.rejected({ ...session, stage: 'rcpt', reply: { code: 550, enhanced: '5.7.1', text: 'no' } })
  events.received({ id, from: null, to: [], sizeBytes: 5_000 })
  events.filtered({ id, verdict: 'junk', score: 7, symbols: [] })
  const copy: AttemptFields = {
    id,
    recipient: 'jane@far.test' as Mailbox,
    rcpt: 0,
    stage: 'relay',
    reply: { code: 250, enhanced: '2.0.0', text: 'taken' },
    ageMs: 3_000,
  }
  events.relayed(copy)
  events.delayed({ ...copy, reply: { code: 450, enhanced: '4.2.0', text: 'later' }, nextAt: 9, attempts: 1 })
  const text = await metrics.registry.metrics()
  for (const line of [
    'sluice_connections_total{listener="127.0.0.1:25"} 1',
    'sluice_tls_sessions_total{version="TLSv1.3"} 1',
    'sluice_rejections_total{stage="rcpt",code="550"} 1',
    'sluice_message_size_bytes_bucket{le="4096"} 0',
    'sluice_message_size_bytes_bucket{le="16384"} 1',
    'sluice_verdicts_total{verdict="junk"} 1',
    'sluice_outcome_seconds_bucket{le="2.5",outcome="relayed"} 0',
    'sluice_outcome_seconds_bucket{le="5",outcome="relayed"} 1',
  ])
    assert.ok(text.split('\n').includes(line), `${line}\n${text}`)
  // It is not at its end.
  assert.doesNotMatch(text, /outcome="delayed"/)
})
