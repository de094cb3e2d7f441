import assert from 'node:assert/strict'
import { existsSync, readdirSync, readlinkSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import { FileCache } from './file-cache.ts'
import { closeFile, fileSize, openFile } from './file-io.ts'
import { temporarySpool } from './test-support.ts'

test('files are shared while they are read, and none stays open longer than it should', async (t) => {
  if (!existsSync('/proc/self/fd')) return t.skip('no /proc')
  const path = await temporarySpool(t)
  const files = await Promise.all(
    Array.from({ length: 10 }, async (_, index) => {
      await writeFile(join(path, String(index)), 'x'.repeat(index))
      return join(path, String(index))
    }),
  )
  const cache = new FileCache(3)
  const sizes = await Promise.all([...files, ...files].map((file) => cache.with(file, fileSize)))
  assert.deepEqual(sizes, [...files.keys(), ...files.keys()])
  await assert.rejects(cache.with(join(path, 'missing'), fileSize), /ENOENT/)
  await closed()
  assert.ok(openBelow(path) <= 3)
  cache.closeIdle()
  cache.closeIdle()
  await closed()
  assert.equal(openBelow(path), 0)
  await cache.with(files[0] ?? '', async () => cache.close())
  await closed()
  assert.equal(openBelow(path), 0)
})

/** Closes go to the thread pool in order: when this one came back, those before it did. */
async function closed(): Promise<void> {
  for (let round = 0; round < 8; round += 1) await closeFile(await openFile('/dev/null', 'r'))
}

function openBelow(path: string): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(path)
    } catch {
      return false
    }
  }).length
}
