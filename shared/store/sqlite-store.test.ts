import assert from 'node:assert/strict'
import { mkdir, readdir, rm, rmdir, stat, truncate, unlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import fc from 'fast-check'

import { acceptedAtOf } from '../mail/message-id.ts'
import { journalFiles } from './journal-tail.ts'
import { openMessageSearch } from './message-search.ts'
import { packPlaces, unpackPlaces } from './places.ts'
import { parseQuery } from './query.ts'
import { storePath, writeSqlite } from './sqlite-store.ts'
import { sqlitePlace } from './store-place.ts'
import { StoreWriter } from './store-writer.ts'
import { testStoreContract } from './testing-contract.ts'
import { deliveredStory, testId, testStore, testedAt } from './testing.ts'

testStoreContract('SQLite', (t) => testStore(t))

test('a database that was deleted is made anew from the journal', async (t) => {
  const store = await testStore(t)
  await store.write(deliveredStory(testId()))
  await store.catchUp()
  await store.writer.close()
  await rm(storePath(store.folder))
  await store.crash()
  await store.catchUp()
  assert.equal((await store.messages()).length, 1)
})

test('places keep their numbers', () => {
  const place = fc.record({ file: fc.nat(), offset: fc.maxSafeNat() }, { noNullPrototype: true })
  fc.assert(
    fc.property(fc.array(place), fc.array(place), (one, other) => {
      assert.deepEqual(unpackPlaces(packPlaces(packPlaces(undefined, one), other)), [...one, ...other])
    }),
  )
})

test('a store that was closed properly says so, and its write-ahead log is gone', async (t) => {
  const store = await testStore(t)
  await store.write(deliveredStory(testId()))
  await store.catchUp()
  await store.writer.close()
  const size = await stat(`${storePath(store.folder)}-wal`).then(
    (found) => found.size,
    () => 0,
  )
  assert.equal(size, 0)
  await writeSqlite({ folder: store.folder, now: () => testedAt, warn: assert.fail }).close()
  await store.crash()
})

test('a story whose file of the journal was deleted is empty, and the message is still found', async (t) => {
  const id = testId()
  const store = await testStore(t)
  await store.write(deliveredStory(id))
  await store.catchUp()
  await unlink(join(store.folder, 'sluice-a-1-0.ndjson'))
  const reader = await store.reader()
  assert.deepEqual(await reader.story(id), [])
  const { messages } = await reader.search({ query: parseQuery(`id:${id}`, testedAt), limit: 5 })
  assert.equal(messages.length, 1)
})

test('a service asks in a thread, and goes through the journal when there is no store', async (t) => {
  const id = testId()
  const store = await testStore(t)
  await store.write(deliveredStory(id))
  await store.catchUp()
  const search = openMessageSearch(store.folder, sqlitePlace)
  const nowhere = openMessageSearch(join(store.folder, 'none'), sqlitePlace)
  t.after(() => Promise.all([search.close(), nowhere.close()]))
  const page = await search.search({ query: parseQuery('', testedAt), limit: 5 })
  assert.deepEqual(
    page.messages.map((message) => [message.id, message.at, message.copyCount]),
    [[id, acceptedAtOf(id), 1]],
  )
  const question = { query: parseQuery('', testedAt), most: 5 }
  assert.equal(await search.count(question), 1)
  assert.deepEqual((await search.choose(question)).messages[0]?.copies, [{ n: 0, state: 'delivered' }])
  assert.equal((await search.story(id)).length, 5)
  await assert.rejects(nowhere.search({ query: parseQuery('', testedAt), limit: 5 }), /no message store/)
  assert.deepEqual(await nowhere.story(id), [])
})

test('beyond the size the oldest file of the journal goes, and the messages of its time', async (t) => {
  const store = await testStore(t)
  const ids = Array.from({ length: 3 }, testId)
  for (const [number, id] of ids.entries()) {
    await store.write(deliveredStory(id), `sluice-a-1-${number}.ndjson`)
    const at = new Date(Number.parseInt(id.slice(0, 9), 36) + 500)
    await utimes(join(store.folder, `sluice-a-1-${number}.ndjson`), at, at)
  }
  await store.catchUp()
  while (await store.writer.trim({ before: 0, maxBytes: 10_000_000 }));
  assert.equal((await store.messages()).length, 3)
  while (await store.writer.trim({ before: 0, maxBytes: 1 }));
  assert.deepEqual(journalFiles(store.folder), ['sluice-a-1-2.ndjson'])
  assert.deepEqual(
    (await store.messages()).map((row) => (row as unknown[])[0]),
    [ids[2]],
  )
})

test('the place on disk that is freed is given back', async (t) => {
  const store = await testStore(t)
  await store.write(Array.from({ length: 6_000 }, testId).flatMap((id) => deliveredStory(id)))
  await store.catchUp()
  await store.writer.close()
  const size = async (): Promise<number> => (await stat(storePath(store.folder))).size
  const before = await size()
  await store.crash()
  while (await store.writer.trim({ before: testedAt + 1e9 }));
  for (let step = 0; step < 20; step += 1) await store.writer.trim({ before: testedAt + 1e9 })
  await store.writer.close()
  const after = await size()
  assert.ok(after < before / 2, `${after} of ${before} octets`)
  await store.crash()
})

for (const [what, harm] of [
  ['is no database', (path: string) => writeFile(path, 'x'.repeat(20_000))],
  ['was cut off', (path: string) => truncate(path, 10_000)],
] as const) {
  test(`a database that ${what} is put aside with a warning, and made anew`, async (t) => {
    const store = await testStore(t)
    await store.write(deliveredStory(testId()))
    const sqlite = writeSqlite({ folder: store.folder, now: () => testedAt, warn: assert.fail })
    await new StoreWriter({ folder: store.folder, store: sqlite, now: () => testedAt }).tick()
    sqlite.database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    sqlite.database.close()
    await harm(storePath(store.folder))
    await store.crash()
    await store.catchUp()
    assert.equal((await store.messages()).length, 1)
    assert.equal(store.warnings.length, 1)
    const names = await readdir(store.folder)
    assert.ok(names.some((name) => name.startsWith('events.db.damaged-')))
  })
}

test('what was read before a file that cannot be read is not left out', async (t) => {
  const store = await testStore(t)
  const id = testId()
  await store.write(deliveredStory(id))
  const strange = join(store.folder, 'sluice-z-1-0.ndjson')
  await mkdir(strange)
  await assert.rejects(store.catchUp(), /EISDIR/)
  await rmdir(strange)
  await store.catchUp()
  assert.equal((await store.copies()).length, 1)
})
