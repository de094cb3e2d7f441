import assert from 'node:assert/strict'
import { appendFile, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import type { JournalEntry } from '../journal.ts'
import { newMessageId } from '../mail/message-id.ts'
import { journalInOrder } from './journal-in-order.ts'
import { recordedTraffic } from './recorded-traffic.ts'

async function tempFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-journal-'))
  t.after(() => rm(folder, { recursive: true }))
  return folder
}

function lines(entries: readonly JournalEntry[]): string {
  return entries.map((entry) => `${JSON.stringify(entry)}\n`).join('')
}

async function all(folder: string, sinceAt: number): Promise<readonly JournalEntry[]> {
  const found: JournalEntry[] = []
  for await (const entries of journalInOrder(folder, sinceAt)) found.push(...entries)
  return found
}

test('what several processes wrote comes by time, over the ends of pieces and files', async (t) => {
  const folder = await tempFolder(t)
  const pad = 'x'.repeat(1_000)
  const entries = Array.from({ length: 600 }, (_none, at) => ({
    at,
    event: 'noted',
    pad: at === 7 ? pad.repeat(90) : pad,
  }))
  const writers = ['inbound-1-10', 'filter-1-11', 'delivery-2-12']
  for (const [which, writer] of writers.entries()) {
    const own = entries.filter(({ at }) => at % writers.length === which)
    await writeFile(join(folder, `${writer}-9.ndjson`), lines(own.slice(0, 50)))
    await writeFile(join(folder, `${writer}-10.ndjson`), lines(own.slice(50)))
  }
  await appendFile(join(folder, 'filter-1-11-10.ndjson'), '{"at":1000,"event":"cut')
  const ofBefore = join(folder, 'old-1-1-0.ndjson')
  await writeFile(ofBefore, lines([{ at: 300, event: 'of before' }]))
  await utimes(ofBefore, 0, 0)
  const found = await all(folder, 100)
  assert.deepEqual(
    found.map(({ at }) => at),
    entries.slice(100).map(({ at }) => at),
  )
  assert.deepEqual(await all(join(folder, 'nowhere'), 0), [])
})

test('messages without an end are given out in the end, and no more of them are kept than fit', async (t) => {
  const folder = await tempFolder(t)
  const ids = Array.from({ length: 20_050 }, (_none, at) => newMessageId(at))
  const waiting = ids.map((id, at) => ({ at, event: 'received', id, from: null, to: ['jane@example.org'] }))
  await writeFile(join(folder, 'a-1-1-0.ndjson'), lines(waiting))
  const found: string[] = []
  for await (const { id } of recordedTraffic(folder, 0)) found.push(id)
  assert.deepEqual(found, ids)
})
