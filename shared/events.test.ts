import assert from 'node:assert/strict'
import { test } from 'node:test'

import { createEvents } from './events.ts'
import type { AttemptFields } from './events.ts'
import type { JournalEntry } from './journal.ts'
import { silentLog } from './log.ts'
import type { Mailbox } from './mail/address.ts'
import type { MessageId } from './mail/message-id.ts'
import { createMetrics } from './metrics.ts'

function copy(code: number, enhanced: string, text: string): AttemptFields {
  const id = '0mi8v2c4bm00000001' as MessageId
  return {
    id,
    recipient: 'jane@far.test' as Mailbox,
    rcpt: 0,
    stage: 'relay',
    reply: { code, enhanced, text },
    ageMs: 1,
  }
}

test('a refusal is told with what it is about, and counted by that; what is taken has no class', async (t) => {
  const metrics = createMetrics()
  t.after(() => metrics.close())
  const entries: JournalEntry[] = []
  const journal = {
    append: (entry: JournalEntry) => void entries.push(entry),
    flush: async () => {},
    close: async () => {},
  }
  const events = createEvents({ log: silentLog(), metrics, journal, clock: { now: () => 7 } })
  events.delayed({ ...copy(451, '4.7.1', 'Greylisted'), nextAt: 9, attempts: 1 })
  events.failed(copy(550, '5.1.1', 'No such user'))
  events.relayed(copy(250, '2.0.0', 'Taken'))
  assert.deepEqual(
    entries.map((entry) => entry['class']),
    ['greylisted', 'unknown-user', undefined],
  )
  const { values } = await metrics.refusals.get()
  assert.deepEqual(
    values.map(({ labels, value }) => [labels.code, labels.class, value]),
    [
      ['4xx', 'greylisted', 1],
      ['5xx', 'unknown-user', 1],
    ],
  )
})
