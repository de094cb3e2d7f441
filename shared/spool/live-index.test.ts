import assert from 'node:assert/strict'
import { readFile, rename, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import fc from 'fast-check'

import { derivedMessageId } from '../mail/message-id.ts'
import type { MessageId } from '../mail/message-id.ts'
import { FolderVolume } from './folder-volume.ts'
import { LiveIndex } from './live-index.ts'
import { isFinal } from './spool.ts'
import type { OutcomeRecord } from './spool.ts'
import { octets, outcome, storedMessage, temporarySpool, writer } from './test-support.ts'

test('the index that follows and the one that is built anew agree on what is live and held', async (t) => {
  const kinds = [
    'delivered',
    'relayed',
    'failed',
    'discarded',
    'removed',
    'held',
    'held',
    'released',
    'rerouted',
  ] as const
  const change = fc.oneof(
    fc.record({ kind: fc.constant('store' as const), recipients: fc.constantFrom(1, 2, 3, 40) }),
    fc.record({ kind: fc.constantFrom(...kinds), message: fc.nat(), recipient: fc.nat() }),
    fc.record({ kind: fc.constant('refresh' as const) }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(change, { maxLength: 60, size: 'max' }), async (changes) => {
      const path = await temporarySpool(t)
      const spools = [await writer(t, path, { segmentBytes: 4_000 }), await writer(t, path)]
      const following = await LiveIndex.open(path)
      const expected = new Map<MessageId, Expected>()
      const recipients = new Map<MessageId, number>()
      let accepted = 0
      for (const [step, one] of changes.entries()) {
        const spool = spools[step % 2]
        assert.ok(spool !== undefined)
        if (one.kind === 'refresh') await following.refresh()
        else if (one.kind === 'store') {
          const message = storedMessage(one.recipients)
          await spool.store(message, octets(step * 10))
          accepted += one.recipients
          recipients.set(message.envelope.id, one.recipients)
          expected.set(message.envelope.id, { pending: range(one.recipients), held: new Set(), decidedAt: undefined })
        } else {
          const ids = [...recipients.keys()]
          const id = ids[one.message % Math.max(1, ids.length)]
          if (id === undefined) continue
          const made = outcome(id, one.recipient % (recipients.get(id) ?? 1), one.kind, 1_800_000_000_000 + step)
          await spool.settle([made])
          applyTo(expected, made)
        }
      }
      await following.refresh()
      for (const index of [following, await LiveIndex.open(path)]) {
        assert.equal(index.size, expected.size)
        const decided = [...index.decided()].map(({ id }) => id)
        assert.deepEqual(
          new Set(decided),
          new Set([...expected].filter(([, { decidedAt }]) => decidedAt !== undefined).map(([id]) => id)),
        )
        for (const { id, pending, held, decidedAt } of index.entries()) {
          assert.equal(decidedAt, expected.get(id)?.decidedAt)
          assert.deepEqual(new Set(pending), expected.get(id)?.pending)
          assert.deepEqual(new Set(held), expected.get(id)?.held)
        }
        const counts = index.counts()
        const final = Object.values(counts.final).reduce((sum, count) => sum + count, 0)
        assert.equal(counts.accepted, accepted)
        assert.equal(counts.accepted, counts.pending + final)
        assert.equal(index.damageCount, 0)
      }
      await Promise.all(spools.map((spool) => spool.close()))
    }),
    { numRuns: 25 },
  )
})

test('outcomes that are seen before their message settle it when it appears', async (t) => {
  const path = await temporarySpool(t)
  const first = await writer(t, path)
  const message = storedMessage(2)
  const { segment } = await first.store(message, octets(10))
  await first.close()
  const hidden = join(path, 'hidden')
  await rename(join(path, segment), hidden)
  const second = await writer(t, path)
  await second.settle([outcome(message.envelope.id, 1)])
  const index = await LiveIndex.open(path)
  assert.equal(index.size, 0)
  await rename(hidden, join(path, segment))
  await index.refresh()
  assert.deepEqual(index.get(message.envelope.id)?.pending, [0])
})

test('a message that was written twice under one id is one message, also when it was settled in between', async (t) => {
  const path = await temporarySpool(t)
  const spools = [await writer(t, path), await writer(t, path)]
  const bounce = storedMessage(1, derivedMessageId(storedMessage().envelope.id, 'failed'))
  for (const spool of spools) await spool.store(bounce, octets(10))
  const index = await LiveIndex.open(path)
  assert.equal(index.size, 1)
  await spools[0]!.settle([outcome(bounce.envelope.id)])
  await index.refresh()
  assert.equal(index.size, 0)
  await spools[1]!.store(bounce, octets(10))
  await index.refresh()
  assert.equal(index.size, 0)
  assert.deepEqual(
    { ...index.counts(), final: index.counts().final.delivered },
    { ...index.counts(), accepted: 1, final: 1 },
  )
  assert.equal((await LiveIndex.open(path)).size, 0)
})

test('a record that its writer took back is forgotten', async (t) => {
  const path = await temporarySpool(t)
  const spool = await writer(t, path)
  const kept = storedMessage()
  await spool.store(kept, octets(10))
  const taken = await spool.store(storedMessage(), octets(10))
  const index = await LiveIndex.open(path)
  assert.equal(index.size, 2)
  await truncate(join(path, taken.segment), taken.offset)
  await index.refresh()
  assert.deepEqual(
    [...index.entries()].map(({ id }) => id),
    [kept.envelope.id],
  )
  assert.equal(index.counts().accepted, 1)
})

test('a half-written record is not seen, and seen when it is whole', async (t) => {
  const path = await temporarySpool(t)
  const spool = await writer(t, path)
  const locator = await spool.store(storedMessage(), octets(1000))
  const file = join(path, locator.segment)
  const whole = await readFile(file)
  await writeFile(file, whole.subarray(0, 500))
  const index = await LiveIndex.open(path)
  assert.equal(index.size, 0)
  await writeFile(file, whole)
  await index.refresh()
  assert.equal(index.size, 1)
  assert.equal(index.damageCount, 0)
})

function range(count: number): Set<number> {
  return new Set(Array.from({ length: count }, (_, index) => index))
}

interface Expected {
  readonly pending: Set<number>
  readonly held: Set<number>
  decidedAt: number | undefined
}

function applyTo(expected: Map<MessageId, Expected>, made: OutcomeRecord): void {
  const message = expected.get(made.id)
  if (message !== undefined && made.kind === 'rerouted') {
    message.decidedAt = made.at
    return
  }
  if (message === undefined || !message.pending.has(made.recipient)) return
  if (made.kind === 'held') message.held.add(made.recipient)
  else message.held.delete(made.recipient)
  if (isFinal(made)) message.pending.delete(made.recipient)
  if (message.pending.size === 0) expected.delete(made.id)
}

test('a message is not taken for settled because the clock of another host is behind', async (t) => {
  const path = await temporarySpool(t)
  const spool = await writer(t, path)
  await spool.settle([outcome(storedMessage().envelope.id)])
  const message = storedMessage(2)
  const { id } = message.envelope
  const volume = new BusyVolume(path)
  const index = await LiveIndex.open(volume)
  volume.beforeOutcomes = async () => {
    await spool.store(message, octets(100))
    await spool.settle([outcome(id, 0, 'delivered', Date.now() - 20 * 60_000)])
  }
  await index.refresh()
  assert.equal(index.get(id), undefined, 'its record came behind the listing')
  await index.refresh()
  assert.deepEqual(index.get(id)?.pending, [1])
})

/** Others write between the look at records and the one at outcomes. */
class BusyVolume extends FolderVolume {
  beforeOutcomes: (() => Promise<void>) | undefined

  override async prepare(): Promise<void> {
    const write = this.beforeOutcomes
    this.beforeOutcomes = undefined
    await write?.()
  }
}
