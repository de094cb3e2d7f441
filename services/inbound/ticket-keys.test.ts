import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { TicketKeys } from './ticket-keys.ts'

const hour = 3_600_000

test('processes of one data folder have the same key, which only they can read, and a new one after half a day', async (t) => {
  const folder = await folderFor(t)
  const path = join(folder, 'tls-tickets')
  let now = 1_000 * hour
  const [one, other] = [keysAt(path, () => now), keysAt(path, () => now)]
  await Promise.all([one.refresh(), other.refresh()])
  await one.refresh()
  await other.refresh()
  const first = one.current
  assert.equal(first.length, 48)
  assert.deepEqual(other.current, first)
  assert.equal((await stat(path)).mode & 0o777, 0o600)
  now += 11 * hour
  await one.refresh()
  assert.deepEqual(one.current, first)
  now += 2 * hour
  await one.refresh()
  await other.refresh()
  assert.notDeepEqual(one.current, first)
  assert.deepEqual(other.current, one.current)
  assert.deepEqual(await readdir(folder), ['tls-tickets'])
})

test('a file that holds no key is replaced, one that cannot be written is told once', async (t) => {
  const folder = await folderFor(t)
  const path = join(folder, 'tls-tickets')
  await writeFile(path, 'x')
  const keys = keysAt(path, () => hour)
  await keys.refresh()
  const again = keysAt(path, () => hour)
  await again.refresh()
  assert.deepEqual(again.current, keys.current)
  const warnings: string[] = []
  const nowhere = new TicketKeys({
    path: join(folder, 'missing/tls-tickets'),
    clock: { now: () => hour },
    onWarning: (message) => warnings.push(message),
  })
  await nowhere.refresh()
  await nowhere.refresh()
  assert.equal(warnings.length, 1)
  assert.equal(nowhere.current.length, 48)
})

function keysAt(path: string, now: () => number): TicketKeys {
  return new TicketKeys({ path, clock: { now }, onWarning: (message) => assert.fail(message) })
}

async function folderFor(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tickets-'))
  t.after(() => rm(folder, { recursive: true }))
  return folder
}
