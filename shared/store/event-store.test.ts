import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

import { openJournal } from '../journal.ts'
import { silentLog } from '../log.ts'
import { openEventStore } from './event-store.ts'
import { readSqlite } from './sqlite-store.ts'
import { sqlitePlace } from './store-place.ts'
import { deliveredStory, testId, testStore, writeUntilKilled } from './testing.ts'

test('what a process writes into its journal is in the store soon after', { timeout: 120_000 }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-store-'))
  const store = openEventStore(folder, sqlitePlace, silentLog())
  const journal = await openJournal(folder, 'inbound', 1, silentLog())
  t.after(async () => {
    await journal.close()
    await store.close()
    await rm(folder, { recursive: true, force: true })
  })
  const id = testId()
  for (const entry of deliveredStory(id)) journal.append(entry)
  while ((await store.unaccepted([id])).length > 0) await sleep(20)
  assert.equal(await store.behindBytes(), 0)
  assert.equal(store.trouble, undefined)
})

test('a store that cannot be opened is a trouble that is told, and ends nothing', { timeout: 120_000 }, async (t) => {
  const store = openEventStore(join(import.meta.filename, 'no-folder'), sqlitePlace, silentLog())
  t.after(() => store.close())
  while (store.trouble === undefined) await sleep(20)
  await assert.rejects(store.unaccepted([testId()]), /cannot be asked/)
})

test('wherever the writer is killed, each line is in the store once', { timeout: 120_000 }, async (t) => {
  const store = await testStore(t)
  const ids = Array.from({ length: 6_000 }, testId)
  for (let start = 0; start < ids.length; start += 1_000) {
    const lines = ids.slice(start, start + 1_000).flatMap((id) => deliveredStory(id))
    await store.write(lines, `sluice-a-1-${start / 1_000}.ndjson`)
  }
  for (const after of [1, 2, 1, 1]) await writeUntilKilled(store.folder, sqlitePlace, after)
  await store.crash()
  await store.catchUp()
  assert.equal((await store.messages()).length, ids.length)
  assert.equal((await store.copies()).length, ids.length)
  const sqlite = readSqlite(store.folder)
  t.after(() => sqlite.close())
  for (const id of ids) assert.equal((await sqlite.story(id)).lines.length, 5)
})
