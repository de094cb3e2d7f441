import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import type { Reply } from '../mail/reply.ts'
import { lostReply, OpenError } from './client-error.ts'
import type { PooledResult } from './pool.ts'
import { sendInParts } from './send-in-parts.ts'
import type { Transaction } from './transaction.ts'

const ok: Reply = { code: 250, text: 'ok' }
const tooMany: Reply = { code: 452, enhanced: '4.5.3', text: 'too many' }
const unknown: Reply = { code: 550, enhanced: '5.1.1', text: 'unknown' }

function to(...addresses: readonly string[]): Transaction {
  return {
    mail: { reversePath: null, sizeBytes: 1, eightBit: false, smtpUtf8: false },
    recipients: addresses.map((address) => ({ address })),
    content: () => [],
  }
}

function answered(replies: readonly Reply[]): PooledResult {
  return { replies, peer: 'mx', dsnPassedOn: false, untouched: false }
}

/** A server that takes `limit` recipients in a transaction and knows nobody whose name begins with x. */
function server(limit: number) {
  const delivered: string[] = []
  let transactions = 0
  const send = async (part: Transaction): Promise<PooledResult> => {
    transactions += 1
    let taken = 0
    const replies = part.recipients.map(({ address }) => {
      if (address.startsWith('x')) return unknown
      if (taken >= limit) return tooMany
      taken += 1
      delivered.push(address)
      return ok
    })
    return answered(replies)
  }
  return { delivered, send, count: () => transactions }
}

test('every recipient gets one copy and the right answer, however few a server takes at a time', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 150 }),
      fc.array(fc.boolean(), { minLength: 1, maxLength: 350 }),
      async (limit, known) => {
        const names = known.map((one, index) => `${one ? 'a' : 'x'}${index}`)
        const { delivered, send } = server(limit)
        const { replies } = await sendInParts(to(...names), send)
        assert.deepEqual(
          replies,
          known.map((one) => (one ? ok : unknown)),
        )
        assert.deepEqual(delivered.sort(), names.filter((name) => name.startsWith('a')).sort())
      },
    ),
    { numRuns: 50 },
  )
})

test('up to a hundred recipients go in one transaction', async () => {
  const { send, count } = server(1000)
  await sendInParts(to(...Array.from({ length: 100 }, (_, index) => `a${index}`)), send)
  assert.equal(count(), 1)
})

test('a server that takes nobody is not asked again', async () => {
  const { send, count } = server(0)
  const { replies } = await sendInParts(to('a', 'b'), send)
  assert.deepEqual(replies, [tooMany, tooMany])
  assert.equal(count(), 1)
})

test('what went well is kept when a later part fails', async () => {
  let round = 0
  const names = Array.from({ length: 250 }, (_, index) => `a${index}`)
  const lost = lostReply('gone')
  const { replies, untouched } = await sendInParts(to(...names), async (part) => {
    if (round++ > 0) throw new OpenError('connect', lost)
    return answered(part.recipients.map(() => ok))
  })
  assert.deepEqual(replies, [...names.slice(0, 100).map(() => ok), ...names.slice(100).map(() => lost)])
  assert.equal(untouched, false)
})

test('when the first part never began, the whole message may go another way', async () => {
  const names = Array.from({ length: 150 }, (_, index) => `a${index}`)
  const lost = lostReply('gone')
  const result = await sendInParts(to(...names), async (part) => ({
    ...answered(part.recipients.map(() => lost)),
    untouched: true,
  }))
  assert.equal(result.untouched, true)
  assert.deepEqual(
    result.replies,
    names.map(() => lost),
  )
})
