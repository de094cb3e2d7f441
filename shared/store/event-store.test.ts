import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

import { openJournal } from '../journal.ts'
import { silentLog } from '../log.ts'
import { openEventStore } from './event-store.ts'
import { readSqlite } from './sqlite-store.ts'
import { deliveredStory, testId, testStore } from './testing.ts'

test('what a process writes into its journal is in the store soon after', { timeout: 120_000 }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-store-'))
  const store = openEventStore(folder, silentLog())
  const journal = await openJournal(folder, 'inbound', 1)
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
  const store = openEventStore(join(import.meta.filename, 'no-folder'), silentLog())
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
  for (const [kill, after] of [1, 2, 1, 1].entries()) await writeUntilKilled(store.folder, after, `kill ${kill}`)
  await store.crash()
  await store.catchUp()
  assert.equal((await store.messages()).length, ids.length)
  assert.equal((await store.copies()).length, ids.length)
  const sqlite = readSqlite(store.folder)
  t.after(() => sqlite.close())
  for (const id of ids) assert.equal((await sqlite.story(id)).lines.length, 5)
})

/** Kills the writer right after so many transactions, or when there is no more to take over. */
async function writeUntilKilled(folder: string, transactions: number, what: string): Promise<void> {
  const script = join(import.meta.dirname, 'writer.child.ts')
  const child = spawn(process.execPath, ['--import', 'tsx', script, folder], { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  let left = transactions
  for await (const line of createInterface({ input: child.stdout })) {
    left -= 1
    if (left <= 0 || line === 'all') child.kill('SIGKILL')
  }
  const [, signal] = (await exited) as [number | null, string | null]
  assert.equal(signal, 'SIGKILL', what)
}
