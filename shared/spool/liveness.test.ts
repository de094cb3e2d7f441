import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readdir, readFile, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import { systemClock } from '../clock.ts'
import { deadAfterMs, declareDead, isWriterAlive } from './liveness.ts'
import { temporarySpool, writer } from './test-support.ts'

const processesCompare = existsSync('/proc/self/stat')

test('a writer whose process runs here is alive, however long its event loop was blocked', async (t) => {
  if (!processesCompare) return t.skip('no /proc')
  const path = await temporarySpool(t)
  await writer(t, path)
  const folder = join(path, (await readdir(path))[0] ?? '')
  await utimes(join(folder, 'alive'), 0, 0)
  assert.equal(await isWriterAlive(folder, systemClock), true)
})

test('a writer whose process is gone is dead at once, also when its id was given to another process', async (t) => {
  if (!processesCompare) return t.skip('no /proc')
  const path = await temporarySpool(t)
  await writer(t, path)
  const folder = join(path, (await readdir(path))[0] ?? '')
  const alive = join(folder, 'alive')
  const identity = JSON.parse(await readFile(alive, 'utf8')) as {
    readonly pid: number
    readonly startedAtTicks: string
  }
  const child = spawn(process.execPath, ['-e', ''])
  await once(child, 'exit')
  for (const change of [{ pid: child.pid }, { startedAtTicks: '1' }]) {
    await writeFile(alive, JSON.stringify({ ...identity, ...change }))
    assert.equal(await isWriterAlive(folder, systemClock), false)
  }
})

test('a writer elsewhere is dead when it was silent for too long, and when it says that it closed', async (t) => {
  const path = await temporarySpool(t)
  const spool = await writer(t, path)
  const folder = join(path, (await readdir(path))[0] ?? '')
  for (const text of ['{"pid":1,"host":"elsewhere","startedAtTicks":"1"}', 'not JSON']) {
    await writeFile(join(folder, 'alive'), text)
    await utimes(join(folder, 'alive'), 1_000, 1_000)
    assert.equal(await isWriterAlive(folder, { now: () => 1_000_000 + deadAfterMs - 1 }), true)
    assert.equal(await isWriterAlive(folder, { now: () => 1_000_000 + deadAfterMs }), false)
  }
  await declareDead(folder)
  await declareDead(folder)
  assert.equal(await isWriterAlive(folder, { now: () => 1_000_000 }), false)
  await spool.close()
})
