import assert from 'node:assert/strict'
import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import { SpoolFullError } from './spool.ts'
import { octets, outcome, storedMessage, temporarySpool, writer } from './test-support.ts'

const quotaBytes = 1_000_000
/** What is written between two looks counts as well, and no look takes so long that the next has to wait. */
const stoppedClock = { now: () => 1_800_000_000_000 }

test('mail beyond the quota is refused before it is accepted, whatever comes at one moment; what was accepted is there', async (t) => {
  const path = await temporarySpool(t)
  const spool = await writer(t, path, { quotaBytes, clock: stoppedClock })
  const stores = await Promise.allSettled(
    Array.from({ length: 300 }, (_, seed) => spool.store(storedMessage(), octets(9_000, seed))),
  )
  const stored = stores.flatMap((one, seed) => (one.status === 'fulfilled' ? [{ locator: one.value, seed }] : []))
  for (const one of stores) if (one.status === 'rejected') assert.ok(one.reason instanceof SpoolFullError)
  assert.ok(stored.length > 80 && stored.length < 112, `${stored.length} stored`)
  assert.ok((await sizeOf(path)) <= quotaBytes)
  for (const { locator, seed } of stored) {
    assert.deepEqual(await (await spool.read(locator)).content(), octets(9_000, seed))
  }
  await spool.settle([outcome(storedMessage().envelope.id)])
})

test('a large message that does not fit the quota is refused while it comes in and leaves nothing behind', async (t) => {
  const path = await temporarySpool(t)
  const spool = await writer(t, path, { quotaBytes, streamThresholdBytes: 10_000 })
  const incoming = spool.receive()
  await assert.rejects(async () => {
    for (let sent = 0; sent < 4_000_000; sent += 65_536) await incoming.write(octets(65_536))
    await incoming.commit(storedMessage())
  }, SpoolFullError)
  await incoming.abort()
  assert.ok((await sizeOf(path)) < 1_000)
  await spool.store(storedMessage(), octets(500_000))
})

test('what other processes wrote counts, and what is cleaned up may be used again', async (t) => {
  const path = await temporarySpool(t)
  const other = await writer(t, path, { streamThresholdBytes: 10_000 })
  const spool = await writer(t, path, { quotaBytes, clock: stoppedClock })
  const { segment } = await other.store(storedMessage(), octets(990_000))
  await assert.rejects(spool.store(storedMessage(), octets(20_000)), SpoolFullError)
  await rm(join(path, segment.replace(/\.msg$/, '.big')))
  await spool.store(storedMessage(), octets(20_000))
})

async function sizeOf(path: string): Promise<number> {
  const files = (await readdir(path, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile())
  const sizes = await Promise.all(files.map(async ({ parentPath, name }) => (await stat(join(parentPath, name))).size))
  return sizes.reduce((sum, size) => sum + size, 0)
}
