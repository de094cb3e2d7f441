import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Mailbox } from '../mail/address.ts'
import { newMessageId } from '../mail/message-id.ts'
import type { MessageId } from '../mail/message-id.ts'
import type { LiveMessage, OutcomeRecord, SpooledMessage } from '../spool/spool.ts'
import { createAuditor } from './audit.ts'

const nowAt = Date.UTC(2026, 10, 21, 12)
const locator = { segment: 'w/000001.msg', offset: 0, recordBytes: 9, sizeBytes: 7, headerBytes: 2 }
const id = newMessageId(nowAt - 60_000)

interface Books {
  /** In the spool, with the recipients that have no outcome. */
  readonly live?: readonly LiveMessage[]
  /** Live, and its file is gone. */
  readonly deleted?: boolean
  readonly outcomes?: readonly OutcomeRecord[]
  readonly unaccepted?: readonly MessageId[]
  readonly open?: ReadonlyMap<MessageId, readonly number[]>
}

function liveMessage(pending: readonly number[]): LiveMessage {
  return { id, locator, receivedAt: nowAt - 60_000, pending, held: [] }
}

function auditor({ live = [], deleted = false, outcomes = [], unaccepted = [], open = new Map() }: Books) {
  const told: unknown[] = []
  const tell = (name: string) => (fields: object) => void told.push([name, JSON.parse(JSON.stringify(fields))])
  const envelope = {
    id,
    reversePath: 'bob@remote.test' as Mailbox,
    recipients: [{ mailbox: 'jane@example.org' as Mailbox }],
    origin: { kind: 'smtp', address: '192.0.2.7' },
  }
  const audit = createAuditor({
    index: {
      entries: () => live,
      get: (one) => live.find((message) => message.id === one),
      isOnDisk: () => !deleted,
    },
    spool: {
      read: async () => ({ envelope }) as unknown as SpooledMessage,
      outcomesOf: async () => new Map([[id, outcomes]]),
    },
    store: {
      unaccepted: async () => unaccepted,
      openCopies: async () => ({ messages: open }),
      auditedSince: async () => 0,
    },
    events: { recovered: tell('recovered'), missing: tell('missing') },
    clock: { now: () => nowAt },
  })
  return { audit, told }
}

test('what waits in the spool is in order', async () => {
  const { audit, told } = auditor({ live: [liveMessage([0, 1])], open: new Map([[id, [0, 1]]]) })
  assert.equal((await audit()).size, 0)
  assert.deepEqual(told, [])
})

test('what is neither settled nor in the spool is missing, and told once', async () => {
  const { audit, told } = auditor({ open: new Map([[id, [0, 1]]]) })
  assert.deepEqual([...(await audit())], [[id, [0, 1]]])
  assert.deepEqual([...(await audit())], [[id, [0, 1]]])
  assert.deepEqual(told, [['missing', { id, rcpt: [0, 1] }]])
})

test('a message whose file is gone is missing, though its record is remembered', async () => {
  const { audit } = auditor({ live: [liveMessage([0])], deleted: true, open: new Map([[id, [0]]]) })
  assert.deepEqual([...(await audit()).keys()], [id])
})

test('an outcome that only the log of the spool has is told again; one that is young is waited for', async () => {
  const outcome = (recipient: number, at: number): OutcomeRecord => ({
    id,
    recipient,
    kind: 'relayed',
    stage: 'relay',
    at,
    reply: { code: 250, enhanced: '2.0.0', text: 'Ok' },
  })
  const outcomes = [outcome(0, nowAt - 30_000), outcome(1, nowAt - 100)]
  const { audit, told } = auditor({ outcomes, open: new Map([[id, [0, 1]]]) })
  assert.equal((await audit()).size, 0)
  const recovered = { id, rcpt: [0], outcome: 'relayed', stage: 'relay', reason: '250 2.0.0 Ok' }
  assert.deepEqual(told, [['recovered', recovered]])
})

test('a message in the spool of which no line says that it was accepted is told by its record', async () => {
  const { audit, told } = auditor({ live: [liveMessage([0])], unaccepted: [id] })
  await audit()
  const recovered = { id, from: 'bob@remote.test', to: ['jane@example.org'], sizeBytes: 7, address: '192.0.2.7' }
  assert.deepEqual(told, [['recovered', recovered]])
  await audit()
  assert.equal(told.length, 1)
})
