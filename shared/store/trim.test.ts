import assert from 'node:assert/strict'
import { utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import { journalFiles } from './journal-tail.ts'
import { StoreReader } from './store-reader.ts'
import { parseQuery } from './query.ts'
import { deliveredStory, testId, testStore, testedAt } from './testing.ts'
import type { TestStore } from './testing.ts'

function trimAll(store: TestStore, question: { readonly before: number; readonly maxBytes?: number }): void {
  while (store.writer.trim(question));
}

function count(store: TestStore, query: string): number {
  const reader = new StoreReader(store.folder)
  try {
    return reader.search({ query: parseQuery(query, testedAt), limit: 5_000 }).messages.length
  } finally {
    reader.close()
  }
}

const forAll = testedAt + 1e9

test('what is old goes with all that is known of it; what is not settled stays', async (t) => {
  const store = await testStore(t)
  const ids = Array.from({ length: 1_200 }, testId)
  const open = testId()
  await store.write([...ids.flatMap((id) => deliveredStory(id)), ...deliveredStory(open).slice(0, 2)])
  store.catchUp()
  assert.equal(count(store, 'saved'), 1_200)
  trimAll(store, { before: testedAt })
  assert.equal(count(store, ''), 1_201)
  trimAll(store, { before: forAll })
  assert.deepEqual(
    store.messages().map((row) => (row as unknown[])[0]),
    [open],
  )
  assert.equal(store.copies().length, 1)
  assert.equal(count(store, 'saved'), 0)
})

test('beyond the size the oldest file of the journal goes, and the messages of its time', async (t) => {
  const store = await testStore(t)
  const ids = Array.from({ length: 3 }, testId)
  for (const [number, id] of ids.entries()) {
    await store.write(deliveredStory(id), `sluice-a-1-${number}.ndjson`)
    const at = new Date(Number.parseInt(id.slice(0, 9), 36) + 500)
    await utimes(join(store.folder, `sluice-a-1-${number}.ndjson`), at, at)
  }
  store.catchUp()
  trimAll(store, { before: 0, maxBytes: 10_000_000 })
  assert.equal(store.messages().length, 3)
  trimAll(store, { before: 0, maxBytes: 1 })
  assert.deepEqual(journalFiles(store.folder), ['sluice-a-1-2.ndjson'])
  assert.deepEqual(
    store.messages().map((row) => (row as unknown[])[0]),
    [ids[2]],
  )
})

test('a file that is not read to its end stays, whatever the size', async (t) => {
  const store = await testStore(t)
  await store.write(deliveredStory(testId()), 'sluice-a-1-0.ndjson')
  await store.write(deliveredStory(testId()), 'sluice-a-1-1.ndjson')
  trimAll(store, { before: 0, maxBytes: 1 })
  assert.equal(journalFiles(store.folder).length, 2)
})

test('the place on disk that is freed is given back', async (t) => {
  const store = await testStore(t)
  await store.write(Array.from({ length: 6_000 }, testId).flatMap((id) => deliveredStory(id)))
  store.catchUp()
  const pages = (): number => (store.writer.database.prepare('PRAGMA page_count').raw().get() as [number])[0]
  const before = pages()
  trimAll(store, { before: forAll })
  for (let step = 0; step < 20; step += 1) store.writer.trim({ before: forAll })
  assert.ok(pages() < before / 2, `${pages()} of ${before} pages`)
})
