import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, test } from 'node:test'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

import type { JournalEntry } from '../../shared/journal.ts'
import { silentLog } from '../../shared/log.ts'
import type { MessageId } from '../../shared/mail/message-id.ts'
import { openEventStore } from '../../shared/store/event-store.ts'
import { openStoreReader } from '../../shared/store/open-store.ts'
import { parseQuery } from '../../shared/store/query.ts'
import { testStoreContract } from '../../shared/store/testing-contract.ts'
import { deliveredStory, testId, testStore, testedAt, writeUntilKilled } from '../../shared/store/testing.ts'
import type { TestStore } from '../../shared/store/testing.ts'
import { fixture } from '../support/fixtures.ts'
import { startEventDatabase } from '../support/event-database.ts'
import type { EventDatabase } from '../support/event-database.ts'
import { missingPeers } from '../support/peer.ts'

const skip = missingPeers('pg_ctl')
const options = { skip, timeout: 300_000 }
let started: EventDatabase | undefined

before(async () => {
  if (skip === false) started = await startEventDatabase()
})
after(() => started?.server.stop())

async function emptyDatabase(): Promise<EventDatabase> {
  assert.ok(started)
  await started.clear()
  return started
}

testStoreContract('PostgreSQL', async (t) => testStore(t, (await emptyDatabase()).maker), skip)

/** Two data folders, one database. */
async function twoHosts(t: TestContext): Promise<readonly [TestStore, TestStore]> {
  const { maker } = await emptyDatabase()
  return [await testStore(t, maker), await testStore(t, maker)]
}

async function found(store: TestStore, query: string): Promise<readonly MessageId[]> {
  const reader = await store.reader()
  const { messages } = await reader.search({ query: parseQuery(query, testedAt), limit: 10_000 })
  return messages.map(({ id }) => id)
}

test('wherever a ledger is killed, PostgreSQL has each line once', options, async (t) => {
  const { maker, place, ask } = await emptyDatabase()
  const store = await testStore(t, maker)
  const ids = Array.from({ length: 6_000 }, testId)
  for (let start = 0; start < ids.length; start += 1_000) {
    const lines = ids.slice(start, start + 1_000).flatMap((id) => deliveredStory(id))
    await store.write(lines, `sluice-a-1-${start / 1_000}.ndjson`)
  }
  for (const transactions of [1, 2, 1, 1]) await writeUntilKilled(store.folder, place, transactions)
  await store.catchUp()
  assert.equal((await store.messages()).length, ids.length)
  assert.equal((await store.copies()).length, ids.length)
  const reader = await store.reader()
  for (const id of ids.slice(0, 2_000)) assert.equal((await reader.story(id)).length, 5)
  assert.deepEqual(await ask('SELECT count(*) FROM hosts'), [['1']])
})

test('a ledger waits for PostgreSQL, says so, and catches up when it is back', options, async (t) => {
  const { maker, place, server } = await emptyDatabase()
  const journal = await testStore(t, maker)
  const store = openEventStore(journal.folder, place, silentLog())
  t.after(() => store.close())
  const known = async (id: MessageId): Promise<boolean> => (await store.unaccepted([id]).catch(() => [id])).length === 0
  const [one, other] = [testId(), testId()]
  await journal.write(deliveredStory(one))
  while (!(await known(one))) await sleep(50)
  await server.halt()
  await journal.write(deliveredStory(other))
  while (store.trouble === undefined) await sleep(50)
  assert.match(store.trouble, /^PostgreSQL localhost:\d+\/mail: /)
  await assert.rejects(found(journal, ''), /^StoreError: PostgreSQL localhost:\d+\/mail: /)
  await server.start()
  while (!(await known(other))) await sleep(50)
  while (store.trouble !== undefined) await sleep(50)
  assert.deepEqual(await found(journal, ''), [other, one])
})

test('what a crash of PostgreSQL took of the last transaction is written again, with its names', options, async (t) => {
  const [one, other] = await twoHosts(t)
  const [first, lost, next, theirs] = [testId(), testId(), testId(), testId()]
  const routedBy = (id: MessageId, rule: string): JournalEntry[] =>
    deliveredStory(id).map((entry) => (entry.event === 'routed' ? { ...entry, rule } : entry))
  await one.write(deliveredStory(first), 'sluice-a-1-0.ndjson')
  await one.catchUp()
  const { ask } = started!
  const [[named]] = (await ask('SELECT max(name) FROM names')) as [[number]]
  await one.write(routedBy(lost, 'smtpd.conf:99'), 'sluice-b-1-0.ndjson')
  await one.catchUp()
  // As the server has it that lost its last transaction.
  for (const table of ['copies', 'lines', 'messages'])
    await ask(`DELETE FROM ${table} WHERE message = (SELECT message FROM messages WHERE id = '${lost}')`)
  await ask(`DELETE FROM files WHERE name LIKE 'sluice-b-%'`)
  await ask(`DELETE FROM names WHERE name > ${named}`)
  await ask(`ALTER TABLE names ALTER COLUMN name RESTART WITH ${named + 1}`)

  await other.write(routedBy(theirs, 'smtpd.conf:11'))
  await other.catchUp()
  await one.write(routedBy(next, 'smtpd.conf:99'), 'sluice-c-1-0.ndjson')
  await assert.rejects(one.catchUp(), /is known up to octet 0 and was read from \d+: read again/)
  await one.catchUp()
  assert.deepEqual(await found(one, 'rule:smtpd.conf:99'), [next, lost])
  assert.deepEqual(await found(one, 'rule:smtpd.conf:11'), [theirs])
})

test('ledgers wait for each other also where transactions see one moment by default', options, async (t) => {
  const [one, other] = await twoHosts(t)
  const { ask } = started!
  await ask("ALTER ROLE mail SET default_transaction_isolation TO 'repeatable read'")
  t.after(() => ask('ALTER ROLE mail RESET default_transaction_isolation'))
  const ids = Array.from({ length: 20 }, testId)
  for (const id of ids) {
    const story = deliveredStory(id)
    await one.write(story.slice(0, 4))
    await other.write(story.slice(4))
    await Promise.all([one.catchUp(), other.catchUp()])
  }
  assert.deepEqual(await found(one, 'status:delivered'), ids.toReversed())
})

test('two hosts write one store: each finds all, tells all stories, and audits its own', options, async (t) => {
  const [one, other] = await twoHosts(t)
  const [mine, theirs, shared] = [testId(), testId(), testId()]
  const story = deliveredStory(shared)
  await one.write([...deliveredStory(mine), ...story.slice(0, 4)])
  await other.write([...deliveredStory(theirs).slice(0, 2), ...story.slice(4)])
  await Promise.all([one.catchUp(), other.catchUp()])
  for (const store of [one, other]) {
    assert.deepEqual(await found(store, ''), [shared, theirs, mine])
    assert.deepEqual(await found(store, 'status:delivered'), [shared, mine])
    const reader = await store.reader()
    assert.deepEqual(await reader.story(shared), story)
    assert.equal((await reader.story(theirs)).length, 2)
  }
  const open = async ({ writer }: TestStore): Promise<readonly MessageId[]> => [
    ...(await writer.openCopies({ acceptedBefore: testedAt + 1e9 })).messages.keys(),
  ]
  assert.deepEqual([await open(one), await open(other)], [[], [theirs]])
  const sums = async (store: TestStore) => (await store.reader()).sums()
  assert.equal((await sums(one)).delivered, 2)
  assert.equal((await sums(other)).queued, 1)
  assert.equal((await sums(other)).delivered, 0)
})

test('two hosts that write at the same time lose nothing, and use the same words', options, async (t) => {
  const stores = await twoHosts(t)
  const ids = Array.from({ length: 300 }, testId)
  for (const id of ids) {
    const story = deliveredStory(id)
    for (const [number, entry] of story.entries()) await stores[number % 2 === 0 ? 0 : 1].write([entry])
    await Promise.all(stores.map(({ catchUp }) => catchUp()))
  }
  assert.equal((await found(stores[0], 'status:delivered tag:Filtered')).length, ids.length)
  assert.deepEqual(await started?.ask('SELECT text FROM names GROUP BY text HAVING count(*) > 1'), [])
  const reader = await stores[1].reader()
  const events = (story: readonly JournalEntry[]): readonly string[] => story.map(({ event }) => event).toSorted()
  for (const id of ids.slice(0, 20)) assert.deepEqual(events(await reader.story(id)), events(deliveredStory(id)))
})

test('a database that is put back to an older state is written on from there', options, async (t) => {
  const { maker, ask } = await emptyDatabase()
  const store = await testStore(t, maker)
  const ids = [testId(), testId()]
  await store.write(deliveredStory(ids[0] as MessageId))
  await store.catchUp()
  await ask('DELETE FROM messages; DELETE FROM copies; DELETE FROM lines; UPDATE files SET position = 0')
  await store.write(deliveredStory(ids[1] as MessageId))
  await assert.rejects(store.writer.tick(), /is known up to octet 0 and was read from \d+: read again/)
  await store.catchUp()
  assert.deepEqual(await found(store, ''), ids.toReversed())
})

test(
  'tables that are missing while it runs are made again; those of a later version are left alone',
  options,
  async (t) => {
    const { maker, ask, clear } = await emptyDatabase()
    const store = await testStore(t, maker)
    const id = testId()
    await store.write(deliveredStory(id))
    await store.catchUp()
    await clear()
    await store.write(deliveredStory(testId()))
    await assert.rejects(store.writer.tick(), /PostgreSQL/)
    await store.catchUp()
    assert.equal((await found(store, '')).length, 2)
    await ask("UPDATE facts SET value = 99 WHERE name = 'version'")
    await store.crash()
    await assert.rejects(store.catchUp(), /is of version 99, and this is \d+: update every host/)
    await assert.rejects(found(store, ''), /is of version 99/)
    assert.equal((await ask('SELECT 1 FROM messages')).length, 2)
  },
)

test('a database that cannot show its certificate is told nothing, and is named', options, async (t) => {
  const { place } = await emptyDatabase()
  const folder = (await testStore(t)).folder
  const ca = await readFile(fixture('tls/world-ca.pem'), 'utf8')
  const stranger = await openStoreReader(folder, { ...place, tls: { ca } })
  t.after(() => stranger.close())
  await assert.rejects(stranger.sums(), /^StoreError: PostgreSQL localhost:\d+\/mail: .*certificate/)
  const refused = await openStoreReader(folder, { ...place, password: 'guessed' })
  t.after(() => refused.close())
  await assert.rejects(refused.sums(), /^StoreError: PostgreSQL localhost:\d+\/mail: password authentication failed/)
})

test('texts that no index could hold are cut, and stop nothing', options, async (t) => {
  const store = await testStore(t, (await emptyDatabase()).maker)
  const [id, long] = [testId(), 'ü'.repeat(9_000)]
  const fields = { subject: long, from: `${long}@remote.test`, address: long, user: `${long}\0\ud800`, messageId: long }
  await store.write(deliveredStory(id).map((entry) => ({ ...entry, ...fields, rule: long, reply: long })))
  await store.catchUp()
  assert.deepEqual(await found(store, 'status:delivered to:jane@example.org'), [id])
})

test('before the ledger wrote, a search says that there is no store in it yet', options, async (t) => {
  const { maker } = await emptyDatabase()
  const store = await testStore(t, maker)
  await assert.rejects(found(store, ''), /there is no message store in it yet: the service ledger makes it/)
})

test('beyond the size the oldest messages go, as many as must, and what is not settled stays', options, async (t) => {
  const { maker } = await emptyDatabase()
  const store = await testStore(t, maker)
  const open = testId()
  const ids = Array.from({ length: 4_000 }, testId)
  await store.write([...deliveredStory(open).slice(0, 2), ...ids.flatMap((id) => deliveredStory(id))])
  await store.catchUp()
  const trim = async (maxBytes: number): Promise<number> => {
    while (await store.writer.trim({ before: 0, maxBytes }));
    return (await found(store, '')).length
  }
  assert.equal(await trim(100_000_000), 4_001)
  const half = await trim(1_500_000)
  assert.ok(half > 500 && half < 3_900, String(half))
  assert.equal(await trim(1_500_000), half)
  const left = await found(store, '')
  assert.deepEqual(left, [...ids.slice(-half + 1).toReversed(), open])
})
