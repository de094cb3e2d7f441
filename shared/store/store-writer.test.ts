import assert from 'node:assert/strict'
import { appendFile, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import fc from 'fast-check'

import { derivedMessageId } from '../mail/message-id.ts'
import { stateNumber } from './copy-state.ts'
import { packPlaces, unpackPlaces } from './places.ts'
import { StoreWriter, storePath } from './store-writer.ts'
import { deliveredStory, testId, testStore, testedAt } from './testing.ts'

test('a message, its copies and the way they went are known once the journal tells them', async (t) => {
  const store = await testStore(t)
  const id = testId()
  await store.write(deliveredStory(id))
  store.catchUp()
  assert.deepEqual(store.messages(), [
    [id, 1, 'bob@remote.test', 1_000, '192.0.2.7', `<${id}@remote.test>`, 'Filtered'],
  ])
  assert.deepEqual(store.copies(), [
    [id, 0, 'jane@example.org', stateNumber('delivered'), 'deliver', 'smtpd.conf:5\nsmtpd.conf:7', '250 2.0.0 Saved'],
  ])
})

test('lines of several processes come to the same end in whichever order they are read', async (t) => {
  const id = testId()
  const story = [
    ...deliveredStory(id),
    {
      at: testedAt + 5,
      event: 'delayed',
      id,
      recipient: 'jane@example.org',
      rcpt: 0,
      stage: 'deliver',
      reply: '450 4.2.1 Busy',
      nextAt: testedAt + 8,
    },
  ]
  const straight = await testStore(t)
  await straight.write(story)
  straight.catchUp()
  const mixed = await testStore(t)
  for (const [line, entry] of story.toReversed().entries()) {
    await mixed.write([entry], `process${line}-1-1-0.ndjson`)
    mixed.catchUp()
  }
  assert.deepEqual(mixed.messages(), straight.messages())
  const withoutRules = (rows: readonly unknown[]): unknown =>
    (rows as readonly unknown[][]).map((row) => row.toSpliced(5, 1))
  assert.deepEqual(withoutRules(mixed.copies()), withoutRules(straight.copies()))
})

test('what one line says twice changes nothing, and the first final outcome stands', async (t) => {
  const store = await testStore(t)
  const id = testId()
  const story = deliveredStory(id)
  const late = {
    at: testedAt + 99,
    event: 'failed',
    id,
    recipient: 'jane@example.org',
    rcpt: 0,
    stage: 'relay',
    reply: '550 5.1.1 No',
  }
  await store.write([...story, ...story, late])
  store.catchUp()
  assert.deepEqual((store.copies()[0] as unknown[]).slice(3, 5), [stateNumber('delivered'), 'deliver'])
  assert.equal(store.copies().length, 1)
})

test('a line that is not whole waits until it is', async (t) => {
  const store = await testStore(t)
  const id = testId()
  const [received] = deliveredStory(id)
  const line = `${JSON.stringify(received)}\n`
  const file = join(store.folder, 'a-1-1-0.ndjson')
  await writeFile(file, line.slice(0, 40))
  store.catchUp()
  assert.deepEqual(store.messages(), [])
  await appendFile(file, line.slice(40))
  store.catchUp()
  assert.equal(store.messages().length, 1)
})

test('a torn line between whole ones costs that line alone', async (t) => {
  const store = await testStore(t)
  const [one, other] = [testId(), testId()]
  await store.write(deliveredStory(one))
  await appendFile(join(store.folder, 'sluice-a-1-0.ndjson'), '{"at":12,"event":"recei\n\n"x"\n7\nnull\n')
  await store.write(deliveredStory(other))
  store.catchUp()
  assert.equal(store.messages().length, 2)
})

test('after a crash nothing is read twice and nothing is left out', async (t) => {
  const store = await testStore(t)
  const ids = [testId(), testId(), testId()]
  for (const id of ids) {
    await store.write(deliveredStory(id))
    store.catchUp()
    store.crash()
  }
  store.catchUp()
  assert.equal(store.messages().length, ids.length)
  const lines = (store.writer.database.prepare('SELECT places FROM messages').raw().all() as [Uint8Array][]).map(
    ([places]) => unpackPlaces(places).length,
  )
  assert.deepEqual(lines, [5, 5, 5])
})

test('a database that was deleted is made anew from the journal', async (t) => {
  const store = await testStore(t)
  await store.write(deliveredStory(testId()))
  store.catchUp()
  store.writer.close()
  await rm(storePath(store.folder))
  store.crash()
  store.catchUp()
  assert.equal(store.messages().length, 1)
})

for (const [what, harm] of [
  ['is no database', (path: string) => writeFile(path, 'x'.repeat(20_000))],
  ['was cut off', (path: string) => truncate(path, 10_000)],
] as const) {
  test(`a database that ${what} is put aside with a warning, and made anew`, async (t) => {
    const store = await testStore(t)
    await store.write(deliveredStory(testId()))
    store.catchUp()
    store.writer.database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    store.writer.database.close()
    await harm(storePath(store.folder))
    store.crash()
    store.catchUp()
    assert.equal(store.messages().length, 1)
    assert.equal(store.warnings.length, 1)
    const names = await readdir(store.folder)
    assert.ok(names.some((name) => name.startsWith('events.db.damaged-')))
  })
}

test('a report has a time of its own, though its id follows from that of the message', async (t) => {
  const store = await testStore(t)
  const about = testId()
  const id = derivedMessageId(about, 'failed')
  const at = testedAt + 500_000_000
  await store.write([
    ...deliveredStory(about),
    { at, event: 'made', id, from: null, to: ['bob@remote.test'], sizeBytes: 9 },
    { at, event: 'reported', id, about, to: 'bob@remote.test', action: 'failed' },
    { at: at + 1, event: 'relayed', id, recipient: 'bob@remote.test', rcpt: 0, stage: 'relay', reply: '250 Ok' },
  ])
  store.catchUp()
  await store.write([{ at: at + 9, event: 'removed', id, rcpt: [0], by: 'x' }])
  store.catchUp()
  assert.deepEqual(
    store.messages().map((row) => (row as unknown[]).slice(0, 3)),
    [
      [about, 1, 'bob@remote.test'],
      [id, 2, ''],
    ],
  )
  assert.equal(store.copies().length, 2)
})

test('recipients who were refused are known, and are no copies of what was accepted', async (t) => {
  const store = await testStore(t)
  const id = testId()
  const refused = { event: 'rejected', id, from: 'bob@remote.test', address: '192.0.2.7', listener: 'x', stage: 'rcpt' }
  await store.write([
    { ...refused, at: testedAt, to: 'nobody@example.org', reply: '550 5.1.1 No such user' },
    ...deliveredStory(id),
  ])
  store.catchUp()
  assert.equal((store.messages()[0] as unknown[])[1], 1)
  assert.deepEqual(
    store.copies().map((row) => (row as unknown[]).slice(1, 4)),
    [
      [0, 'jane@example.org', stateNumber('delivered')],
      [1_000_000, 'nobody@example.org', stateNumber('refused')],
    ],
  )
})

test('two copies to one address are told apart', async (t) => {
  const store = await testStore(t)
  const id = testId()
  const to = ['jane@example.org', 'jane@example.org']
  await store.write([
    { at: testedAt, event: 'received', id, from: 'bob@remote.test', to, sizeBytes: 1 },
    { at: testedAt + 1, event: 'delivered', id, recipient: to[1], rcpt: 1, stage: 'deliver', reply: '250 Ok' },
  ])
  store.catchUp()
  assert.deepEqual(
    store.copies().map((row) => (row as unknown[])[3]),
    [stateNumber('queued'), stateNumber('delivered')],
  )
})

test('lines of older versions, which name no copies, are understood', async (t) => {
  const store = await testStore(t)
  const id = testId()
  const to = ['jane@example.org', 'eve@example.org']
  await store.write([
    { at: testedAt, event: 'received', id, from: 'bob@remote.test', to, sizeBytes: 1 },
    { at: testedAt + 1, event: 'delivered', id, recipient: 'Eve@example.org', stage: 'deliver', reply: '250 Ok' },
    { at: testedAt + 2, event: 'discarded', id, stage: 'filter', reason: 'virus' },
  ])
  store.catchUp()
  assert.deepEqual(
    store.copies().map((row) => (row as unknown[])[3]),
    [stateNumber('discarded'), stateNumber('delivered')],
  )
})

test('it is told which messages nobody knows to be accepted, and which copies are open', async (t) => {
  const store = await testStore(t)
  const [done, open, unknown] = [testId(), testId(), testId()]
  await store.write([...deliveredStory(done), ...deliveredStory(open).slice(0, 2)])
  store.catchUp()
  assert.deepEqual(store.writer.unaccepted([done, open, unknown]), [unknown])
  const question = { acceptedBefore: testedAt + 1e9 }
  assert.deepEqual([...store.writer.openCopies(question).messages], [[open, [0]]])
  assert.deepEqual([...store.writer.openCopies({ acceptedBefore: testedAt }).messages], [])
})

test('whatever a line says, the lines behind it are read', async (t) => {
  const store = await testStore(t)
  const id = testId()
  const events = ['received', 'made', 'recovered', 'rejected', 'routed', 'passed', 'delayed', 'failed', 'held', 'x']
  const fields = [
    'from',
    'to',
    'rcpt',
    'recipient',
    'reply',
    'rule',
    'queue',
    'tags',
    'tag',
    'stage',
    'nextAt',
    'about',
  ]
  const entry = fc
    .tuple(fc.constantFrom(...events), fc.dictionary(fc.constantFrom(...fields), fc.jsonValue({ maxDepth: 1 })))
    .map(([event, values]) => ({ ...values, at: testedAt, event, id }))
  const entries = fc.sample(entry, { numRuns: 2_000, seed: 7 })
  await store.write([...entries, ...deliveredStory(testId())])
  store.catchUp()
  assert.equal(store.messages().length, 2)
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
  store.catchUp()
  store.writer.close()
  const size = await stat(`${storePath(store.folder)}-wal`).then(
    (found) => found.size,
    () => 0,
  )
  assert.equal(size, 0)
  const again = new StoreWriter({ folder: store.folder, now: () => testedAt, warn: assert.fail })
  again.close()
  store.crash()
})
