import assert from 'node:assert/strict'
import { readFile, readdir, rename, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import fc from 'fast-check'

import type { Clock } from '../clock.ts'
import { derivedMessageId } from '../mail/message-id.ts'
import type { MessageId } from '../mail/message-id.ts'
import type { FileSpool } from './file-spool.ts'
import { FolderVolume } from './folder-volume.ts'
import { collectGarbage } from './garbage.ts'
import type { GarbageOptions } from './garbage.ts'
import { findMessage } from './list-messages.ts'
import { LiveIndex } from './live-index.ts'
import type { Locator } from './spool.ts'
import { octets, outcome, storedMessage, temporarySpool, writer } from './test-support.ts'

/** Ahead of all files, so that nothing is too young to go. */
const later: Clock = { now: () => Date.now() + 10_000 }
const everything: GarbageOptions = { olderThanMs: 0, relocateAfterMs: 0, outcomesMs: 0, unfinishedMs: 0, clock: later }
const threshold = 5_000

test('what could not be read is not cleaned up: neither records nor the contents they may name', async (t) => {
  const path = await temporarySpool(t)
  const spool = await writer(t, path, { streamThresholdBytes: threshold })
  await spool.store(storedMessage(), octets(100))
  await spool.store(storedMessage(), octets(2 * threshold))
  await spool.close()
  const index = await LiveIndex.open(new BlindVolume(path))
  await cleanThrice(index, everything)
  const again = await LiveIndex.open(path)
  assert.equal(again.size, 2)
  for (const { id } of again.entries()) assert.ok(again.isOnDisk(id))
})

/** Lists everything and finds no records: as a cache out of which a file is taken before it is opened. */
class BlindVolume extends FolderVolume {
  override async withFile<T>(file: string, use: (fd: number) => Promise<T>): Promise<T | undefined> {
    return file.endsWith('.msg') ? undefined : super.withFile(file, use)
  }
}

interface Kept {
  readonly id: MessageId
  readonly locator: Locator
  readonly content: Buffer
}

test('cleaning that is stopped before any of its steps loses nothing, and the next run finishes it', async (t) => {
  const steps = await runUntil(t, Number.POSITIVE_INFINITY)
  assert.ok(steps >= 16, `${steps} steps`)
  for (let stopAt = 1; stopAt <= steps; stopAt += 1) await runUntil(t, stopAt)
})

/** Cleans an old spool, stopped before step `stopAt`, then to the end; checks all promises at both points. */
async function runUntil(t: TestContext, stopAt: number): Promise<number> {
  const path = await temporarySpool(t)
  const { kept, settled, alive } = await oldSpool(t, path)
  const index = await LiveIndex.open(path)
  let steps = 0
  const onStep = (step: string): void => {
    steps += 1
    if (steps === stopAt) throw new Error(`stopped before '${step}'`)
  }
  const run = cleanThrice(index, { ...everything, onStep })
  if (Number.isFinite(stopAt)) await assert.rejects(run, /stopped before/)
  else assert.deepEqual(await run, [])
  await assertKept(path, alive, kept, settled)

  const restarted = await LiveIndex.open(path)
  await cleanThrice(restarted, everything)
  await assertKept(path, alive, kept, settled)
  assert.equal(restarted.size, messagesOf(kept))
  const files = (await readdir(path, { recursive: true })).filter((file) => /\.(msg|out|big)$/.test(file)).sort()
  assert.equal(files.filter((file) => file.endsWith('.big')).length, 2)
  assert.deepEqual(
    files.filter((file) => file.endsWith('.out')).map((file) => file.replace(/[0-9a-f]{12}/, '')),
    ['relocated-out/test-.000001.out', 'test-/000001.out'],
  )
  // Moved: all that was live in old segments. Not moved: what the living writer has open.
  assert.equal(files.filter((file) => file.startsWith('relocated/') && file.endsWith('.msg')).length, 3)
  assert.equal(files.filter((file) => !file.startsWith('relocated/') && file.endsWith('.msg')).length, 1)
  await alive.close()
  return steps
}

/** Outcome logs go a run after the records they speak of. */
async function cleanThrice(index: LiveIndex, options: GarbageOptions): Promise<readonly string[]> {
  const troubles: string[] = []
  for (let run = 0; run < 3; run += 1) troubles.push(...(await collectGarbage(index, options)).troubles)
  return troubles
}

/** A dead writer's segments: settled ones, nearly settled ones with a small, a large and a twice written message. */
async function oldSpool(
  t: TestContext,
  path: string,
): Promise<{ readonly kept: Kept[]; readonly settled: MessageId[]; readonly alive: FileSpool }> {
  const dead = await writer(t, path, { segmentBytes: 8_000, streamThresholdBytes: threshold })
  const kept: Kept[] = []
  const settled: MessageId[] = []
  const settle = async (length: number): Promise<void> => {
    const message = storedMessage()
    await dead.store(message, octets(length))
    await dead.settle([outcome(message.envelope.id)])
    settled.push(message.envelope.id)
  }
  const keep = async (spool: FileSpool, length: number, message = storedMessage(2)): Promise<void> => {
    const content = octets(length, length)
    kept.push({ id: message.envelope.id, locator: await spool.store(message, content), content })
    await spool.settle([outcome(message.envelope.id, 1)])
  }
  for (let count = 0; count < 3; count += 1) await settle(3_000)
  await settle(threshold + 1)
  await keep(dead, 10)
  for (let count = 0; count < 4; count += 1) await settle(3_000)
  await keep(dead, threshold + 2)
  await settle(3_500)
  await settle(3_500)
  const twice = storedMessage(2, derivedMessageId(storedMessage().envelope.id, 'delay'))
  await keep(dead, 100, twice)
  await settle(3_500)
  const unfinished = dead.receive()
  await unfinished.write(octets(2 * threshold))
  for (let count = 0; count < 8; count += 1) await settle(1_000)
  await dead.close()
  // As if it had been killed on another host, a minute ago.
  const folder = join(path, kept[0]?.locator.segment.split('/')[0] ?? '')
  await writeFile(join(folder, 'alive'), '{"pid":1,"host":"elsewhere"}')
  await utimes(join(folder, 'alive'), 0, 0)
  const alive = await writer(t, path, { streamThresholdBytes: threshold })
  await keep(alive, 20)
  await keep(alive, threshold + 3)
  const again = await alive.store(twice, octets(100, 100))
  kept.push({ id: twice.envelope.id, locator: again, content: octets(100, 100) })
  return { kept, settled, alive }
}

function messagesOf(kept: readonly Kept[]): number {
  return new Set(kept.map(({ id }) => id)).size
}

async function assertKept(
  path: string,
  spool: FileSpool,
  kept: readonly Kept[],
  settled: readonly MessageId[],
): Promise<void> {
  const index = await LiveIndex.open(path, { onDamage: (damage) => assert.fail(JSON.stringify(damage)) })
  assert.equal(index.size, messagesOf(kept))
  for (const { id, locator, content } of kept) {
    assert.deepEqual(index.get(id)?.pending, [0])
    assert.deepEqual(await (await spool.read(locator)).content(), content)
    assert.deepEqual(await (await findMessage(path, id))?.content(), content)
    const seen = (await spool.outcomesOf([id])).get(id)
    assert.deepEqual(
      seen?.map(({ recipient }) => recipient),
      [1],
    )
  }
  for (const id of settled) assert.equal(index.get(id), undefined)
}

test('whatever was stored, settled and cleaned in any order: live messages are readable, settled ones stay settled', async (t) => {
  const step = fc.record({
    kind: fc.constantFrom('store', 'store', 'store', 'settle', 'settle', 'clean', 'restart', 'rotate'),
    pick: fc.nat(),
    length: fc.oneof(fc.nat(3_000), fc.integer({ min: threshold + 1, max: 2 * threshold })),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 80, size: 'max' }), async (sequence) => {
      const path = await temporarySpool(t)
      const options = { segmentBytes: 6_000, streamThresholdBytes: threshold }
      let spool = await writer(t, path, options)
      const index = await LiveIndex.open(path)
      const live = new Map<MessageId, Kept>()
      for (const { kind, pick, length } of sequence) {
        if (kind === 'store') {
          const message = storedMessage()
          const content = octets(length, pick)
          const locator = await spool.store(message, content)
          live.set(message.envelope.id, { id: message.envelope.id, locator, content })
        } else if (kind === 'settle') {
          const id = [...live.keys()][pick % Math.max(1, live.size)]
          if (id === undefined) continue
          await spool.settle([outcome(id)])
          live.delete(id)
        } else if (kind === 'clean') {
          await collectGarbage(index, everything)
        } else {
          await spool.close()
          spool = await writer(t, path, options)
        }
      }
      await collectGarbage(index, everything)
      const fresh = await LiveIndex.open(path)
      for (const one of [index, fresh]) {
        assert.deepEqual(new Set([...one.entries()].map(({ id }) => id)), new Set(live.keys()))
      }
      for (const { locator, content } of live.values()) {
        assert.deepEqual(await (await spool.read(locator)).content(), content)
      }
      assert.equal(fresh.damageCount, 0)
      await spool.close()
      await cleanThrice(index, everything)
      const files = await readdir(path, { recursive: true })
      const large = [...live.values()].filter(({ content }) => content.length > threshold)
      assert.equal(files.filter((file) => file.endsWith('.big')).length, large.length)
      assert.ok(files.filter((file) => file.startsWith('relocated/') && file.endsWith('.msg')).length <= live.size)
      if (live.size === 0)
        assert.deepEqual(
          files.filter((file) => !file.startsWith('relocated')),
          [],
        )
    }),
    { numRuns: 20 },
  )
})

test('nothing young is deleted, and nothing that a living writer may still write', async (t) => {
  const path = await temporarySpool(t)
  const spool = await writer(t, path, { streamThresholdBytes: threshold })
  const incoming = spool.receive()
  await incoming.write(octets(2 * threshold, 7))
  const message = storedMessage()
  await spool.store(message, octets(10))
  await spool.settle([outcome(message.envelope.id)])
  const index = await LiveIndex.open(path)
  const before = await readdir(path, { recursive: true })
  await collectGarbage(index, { ...everything, unfinishedMs: 60_000 })
  assert.deepEqual(await readdir(path, { recursive: true }), before)
  const locator = await incoming.commit(storedMessage())
  await spool.close()
  await collectGarbage(index, { olderThanMs: 60_000 })
  assert.ok((await readdir(path, { recursive: true })).includes(locator.segment))
  assert.deepEqual(await (await (await writer(t, path)).read(locator)).content(), octets(2 * threshold, 7))
})

test('outcomes stay while a settled record is on disk, so that it never comes back to life', async (t) => {
  const path = await temporarySpool(t)
  const alive = await writer(t, path)
  const other = await writer(t, path)
  const message = storedMessage()
  await alive.store(message, octets(10))
  await alive.store(storedMessage(), octets(10))
  await other.settle([outcome(message.envelope.id)])
  await other.close()
  const index = await LiveIndex.open(path)
  assert.equal((await collectGarbage(index, everything)).outcomeLogs, 0)
  assert.equal((await LiveIndex.open(path)).get(message.envelope.id), undefined)
})

test('a writer that was asleep when it was declared dead acknowledges nothing that was cleaned away', async (t) => {
  const path = await temporarySpool(t)
  const sleeper = await writer(t, path)
  const settled = storedMessage()
  const { segment } = await sleeper.store(settled, octets(10))
  await sleeper.settle([outcome(settled.envelope.id)])
  const folder = join(path, segment.split('/')[0] ?? '')
  // As if on another host, and silent for too long.
  await writeFile(join(folder, 'alive'), '{"pid":1,"host":"elsewhere"}')
  const index = await LiveIndex.open(path)
  const clock: Clock = { now: () => Date.now() + 61_000 }
  await collectGarbage(index, { ...everything, clock })
  await assert.rejects(stat(join(path, segment)), /ENOENT/)
  await assert.rejects(sleeper.store(storedMessage(), octets(10)))
  const locator = await sleeper.store(storedMessage(), octets(10, 3))
  assert.deepEqual(await (await sleeper.read(locator)).content(), octets(10, 3))
  await index.refresh()
  assert.equal(index.size, 1)
})

test('a damaged segment stays for the operator', async (t) => {
  const path = await temporarySpool(t)
  const spool = await writer(t, path)
  const messages = [storedMessage(), storedMessage(), storedMessage()]
  const locators = []
  for (const message of messages) locators.push(await spool.store(message, octets(100)))
  await spool.settle(messages.map(({ envelope }) => outcome(envelope.id)))
  await spool.close()
  const { segment, offset } = locators[1]!
  await flip(join(path, segment), offset + 5)
  const report = await collectGarbage(await LiveIndex.open(path), everything)
  assert.equal(report.segments, 0)
  assert.match(report.troubles.join(), /damaged/)
  assert.ok((await stat(join(path, segment))).size > 0)
})

test('folders that a dead writer left half made or empty go away', async (t) => {
  const path = await temporarySpool(t)
  const spool = await writer(t, path)
  const message = storedMessage()
  await spool.store(message, octets(10))
  await spool.settle([outcome(message.envelope.id)])
  await spool.close()
  const [name] = await readdir(path)
  await rename(join(path, name ?? ''), join(path, '.making-it'))
  const second = await writer(t, path)
  await second.store(message, octets(10))
  await second.settle([outcome(message.envelope.id)])
  const [folder] = (await readdir(path)).filter((one) => !one.startsWith('.'))
  const alive = join(path, folder ?? '', 'alive')
  await second.close()
  await writeFile(alive, '{"pid":1,"host":"elsewhere"}')
  const clock: Clock = { now: () => Date.now() + 61_000 }
  const index = await LiveIndex.open(path)
  for (let run = 0; run < 3; run += 1) await collectGarbage(index, { ...everything, clock })
  assert.deepEqual(await readdir(path), [])
})

async function flip(path: string, offset: number): Promise<void> {
  const bytes = await readFile(path)
  bytes[offset] = (bytes[offset] ?? 0) ^ 1
  await writeFile(path, bytes)
}
