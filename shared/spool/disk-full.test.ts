import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtemp, open, readdir, rm, rmdir, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { LiveIndex } from './live-index.ts'
import { SpoolFullError } from './spool.ts'
import type { Locator } from './spool.ts'
import { octets, outcome, storedMessage, temporarySpool, writer } from './test-support.ts'

test('a full disk refuses exactly what does not fit, loses nothing, and takes mail again when there is space', async (t) => {
  const path = await smallDisk(t)
  if (path === undefined) return
  // The free space is asked for once, so that the disk itself refuses.
  const spool = await writer(t, path, { clock: { now: () => 1_800_000_000_000 } })
  await spool.store(storedMessage(), octets(10))
  const ballast = join(path, 'ballast')
  await fill(ballast, 1_200_000)
  const stores = await Promise.allSettled(
    Array.from({ length: 100 }, (_, seed) => spool.store(storedMessage(), octets(20_000, seed))),
  )
  const stored = stores.flatMap((one, seed) => (one.status === 'fulfilled' ? [{ locator: one.value, seed }] : []))
  const refused = stores.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []))
  assert.ok(stored.length > 10 && refused.length > 10, `${stored.length} stored, ${refused.length} refused`)
  for (const reason of refused) assert.ok(reason instanceof SpoolFullError, String(reason))
  for (const { locator, seed } of stored) {
    assert.deepEqual(await (await spool.read(locator)).content(), octets(20_000, seed))
  }
  assert.equal(await goodEnd(path, stored), await sizeOf(path, stored))

  await rm(ballast)
  const later = await spool.store(storedMessage(), octets(20_000))

  assert.deepEqual(await (await spool.read(later)).content(), octets(20_000))
  const index = await LiveIndex.open(path)
  assert.equal(index.size, stored.length + 2)
  assert.equal(index.damageCount, 0)
})

test('a large message that does not fit is refused and leaves nothing behind', async (t) => {
  const path = await smallDisk(t)
  if (path === undefined) return
  const spool = await writer(t, path, { streamThresholdBytes: 10_000 })
  const incoming = spool.receive()
  await assert.rejects(async () => {
    for (let sent = 0; sent < 4_000_000; sent += 65_536) await incoming.write(octets(65_536))
    await incoming.commit(storedMessage())
  }, SpoolFullError)
  await incoming.abort()
  const files = await readdir(path, { recursive: true })
  assert.deepEqual(
    files.filter((file) => file.endsWith('.big')),
    [],
  )
  await spool.store(storedMessage(), octets(50_000))
})

test('below the reserve new mail is refused while outcomes are still logged', async (t) => {
  const path = await temporarySpool(t)
  const spool = await writer(t, path, { reserveBytes: Number.MAX_SAFE_INTEGER })
  assert.equal(await spool.freeBytes(), 0)
  const { envelope } = storedMessage()
  await assert.rejects(spool.store(storedMessage(), octets(10)), SpoolFullError)
  await assert.rejects(async () => {
    const incoming = spool.receive()
    await incoming.write(octets(300_000))
  }, SpoolFullError)
  await spool.settle([outcome(envelope.id)])
  assert.equal((await spool.outcomesOf([envelope.id])).get(envelope.id)?.length, 1)
})

/** A file system of 2 MB; needs root. */
async function smallDisk(t: TestContext): Promise<string | undefined> {
  const path = await mkdtemp(join(tmpdir(), 'sluice-disk-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', path], { stdio: 'pipe' })
  } catch (error) {
    await rmdir(path)
    t.skip(`cannot mount a small disk: ${String(error)}`)
    return undefined
  }
  t.after(async () => {
    execFileSync('umount', ['-l', path])
    await rmdir(path)
  })
  return path
}

async function fill(path: string, bytes: number): Promise<void> {
  const file = await open(path, 'w')
  await file.write(Buffer.alloc(bytes, 1))
  await file.close()
}

async function goodEnd(path: string, stored: readonly { readonly locator: Locator }[]): Promise<number> {
  const index = await LiveIndex.open(path)
  return index.segment(stored[0]?.locator.segment ?? '')?.end ?? -1
}

async function sizeOf(path: string, stored: readonly { readonly locator: Locator }[]): Promise<number> {
  return (await stat(join(path, stored[0]?.locator.segment ?? ''))).size
}
