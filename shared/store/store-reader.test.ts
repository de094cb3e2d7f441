import assert from 'node:assert/strict'
import { unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import fc from 'fast-check'

import { storyOf } from '../journal.ts'
import type { JournalEntry } from '../journal.ts'
import { acceptedAtOf, derivedMessageId } from '../mail/message-id.ts'
import type { MessageId } from '../mail/message-id.ts'
import { openMessageSearch } from './message-search.ts'
import { QueryError, parseQuery } from './query.ts'
import { StoreReader } from './store-reader.ts'
import { deliveredStory, testId, testStore, testedAt } from './testing.ts'
import type { TestStore } from './testing.ts'

interface Searched extends TestStore {
  readonly reader: StoreReader
  find(query: string): readonly MessageId[]
}

async function searched(t: TestContext, entries: readonly JournalEntry[]): Promise<Searched> {
  const store = await testStore(t)
  await store.write(entries)
  store.catchUp()
  const reader = new StoreReader(store.folder)
  t.after(() => reader.close())
  return {
    ...store,
    reader,
    find: (query) => reader.search({ query: parseQuery(query, testedAt), limit: 100 }).messages.map(({ id }) => id),
  }
}

function changed(story: readonly JournalEntry[], event: string, fields: object): readonly JournalEntry[] {
  return story.map((entry) => (entry.event === event ? { ...entry, ...fields } : entry))
}

test('a message is found by each thing that is known of it', async (t) => {
  const [id, other] = [testId(), testId()]
  const story = changed(deliveredStory(id, 'Jane@Example.org', 'bob@remote.test'), 'received', { user: 'bob' })
  const { find } = await searched(t, [
    ...story,
    ...deliveredStory(other, 'eve@other.test', 'mal@third.test')
      .slice(0, 2)
      .map((entry) => ({ ...entry, address: '198.51.100.1', rule: '/etc/smtpd.conf:99', listener: 'x' })),
  ])
  for (const query of [
    id,
    `id:${id}`,
    `<${id}@remote.test>`,
    `message-id:${id}@remote.test`,
    'jane@example.org',
    'bob@remote.test',
    'to:jane@example.org',
    'to:JANE@example.org',
    'to:@example.org',
    'to:jane',
    'from:bob@remote.test',
    'from:@remote.test',
    'from:bob@',
    'domain:example.org',
    'tag:filtered',
    'queue:deliver',
    'stage:deliver',
    'status:delivered',
    'rule:smtpd.conf:7',
    'rule:5',
    'client:192.0.2.7',
    'user:bob',
    'listener:0.0.0.0:25',
    'listener:25',
    'saved',
    '"2.0.0 Saved"',
    'text:"2.0.0 sav"',
    'to:jane@example.org status:delivered tag:Filtered "saved" after:2026-11-20 before:2026-11-22',
    '-status:queued',
    '-to:eve@other.test',
    '-tag:Other status:delivered,failed',
  ]) {
    assert.deepEqual(find(query), [id], query)
  }
  for (const query of [
    'to:bob@remote.test',
    'domain:remote.test',
    'domain:ample.org',
    'to:jane@example.org status:failed',
    'tag:Signed',
    'rule:7:5',
    '"Saved 2.0.0"',
    'to:%',
    'before:2026-11-21',
    'class:spam',
  ]) {
    assert.deepEqual(find(query), [], query)
  }
  assert.deepEqual(find(''), [other, id])
  assert.deepEqual(find('status:open'), [other])
  assert.deepEqual(find('rule:/etc/smtpd.conf:99'), [other])
})

test('what is asked of a copy must hold of one and the same copy', async (t) => {
  const id = testId()
  const to = ['jane@example.org', 'eve@example.org']
  const { find, reader } = await searched(t, [
    { at: testedAt, event: 'received', id, from: null, to, sizeBytes: 1 },
    {
      at: testedAt,
      event: 'failed',
      id,
      recipient: to[1],
      rcpt: 1,
      stage: 'deliver',
      reply: '552 Full',
      class: 'mailbox-full',
    },
  ])
  assert.deepEqual(find('to:jane@example.org status:failed'), [])
  assert.deepEqual(find('to:eve@example.org status:failed class:mailbox-full from:<>'), [id])
  const [found] = reader.search({ query: parseQuery('status:failed', testedAt), limit: 1 }).messages
  assert.deepEqual(found?.from, null)
  assert.deepEqual(
    found?.copies.map(({ mailbox }) => mailbox),
    ['eve@example.org', 'jane@example.org'],
  )
})

test('all that a query finds is chosen with the copies that it asks about, up to a bound, and counted', async (t) => {
  const [one, other] = [testId(), testId()]
  const to = ['jane@example.org', 'eve@example.org']
  const { reader } = await searched(t, [
    ...[one, other].map((id) => ({ at: testedAt, event: 'received', id, from: null, to, sizeBytes: 1 })),
    { at: testedAt, event: 'held', id: one, rcpt: [1], stage: 'filter', reason: 'spam: score 12' },
  ])
  const choose = (text: string, most = 10) => reader.choose({ query: parseQuery(text, testedAt), most })
  const queued = to.map((_, n) => ({ n, state: 'queued' }))
  assert.deepEqual(choose('status:held'), {
    messages: [{ id: one, copies: [{ n: 1, state: 'held' }] }],
    isCut: false,
  })
  assert.deepEqual(choose('-status:held'), { messages: [{ id: other, copies: queued }], isCut: false })
  assert.deepEqual(choose('', 1), { messages: [{ id: other, copies: queued }], isCut: true })
  assert.deepEqual(choose('to:nobody@example.org'), { messages: [], isCut: false })
  const count = (text: string, most: number) => reader.count({ query: parseQuery(text, testedAt), most })
  assert.deepEqual([count('status:open', 5), count('status:open', 1), count('status:failed', 5)], [2, 1, 0])
})

test('pages follow each other, newest first, without gap or repetition', async (t) => {
  const ids = Array.from({ length: 25 }, testId)
  const { reader } = await searched(
    t,
    ids.flatMap((id) => deliveredStory(id)),
  )
  for (const text of ['', 'to:jane@example.org', 'domain:example.org', 'jane@example.org', 'rule:7,5', 'saved']) {
    const query = parseQuery(text, testedAt)
    const found: MessageId[] = []
    for (let before: string | undefined; ;) {
      const page = reader.search({ query, limit: 7, ...(before === undefined ? {} : { before }) })
      found.push(...page.messages.map(({ id }) => id))
      before = page.next
      if (before === undefined) break
    }
    assert.deepEqual(found, ids.toReversed(), text)
  }
})

test('what is typed never becomes part of the question to the database', async (t) => {
  const id = testId()
  const { find, reader } = await searched(t, deliveredStory(id))
  const words = fc.constantFrom('to:', 'from:', 'text:', 'domain:', 'rule:', 'tag:', 'user:', '-text:', '')
  const hostile = fc.string({
    unit: fc.constantFrom(...`'"%_\\;()*-^:@ abANDORNEAR`.split('')),
    minLength: 1,
    maxLength: 30,
  })
  fc.assert(
    fc.property(words, hostile, (word, text) => {
      try {
        find(`${word}"${text.replaceAll('"', '')}"`)
      } catch (error) {
        assert.ok(error instanceof QueryError, String(error))
      }
    }),
  )
  assert.deepEqual(find(''), [id])
  assert.equal(reader.sums().delivered, 1)
})

test('a story is told from the places the store knows and from what was written since', async (t) => {
  const id = testId()
  const about = derivedMessageId(id, 'failed')
  const story = deliveredStory(id)
  const store = await searched(t, story.slice(0, 3))
  await store.write([
    ...story.slice(3),
    { at: testedAt + 20, event: 'reported', id: about, about: id, to: 'x', action: 'failed' },
  ])
  assert.equal(store.reader.story(id).length, 6)
  store.catchUp()
  const told = store.reader.story(id)
  assert.deepEqual(told, await storyOf(store.folder, id))
  assert.equal(told.length, 6)
  assert.deepEqual(store.reader.story(testId()), [])
})

test('a story whose file of the journal was deleted is empty, and the message is still found', async (t) => {
  const id = testId()
  const store = await searched(t, deliveredStory(id))
  await unlink(join(store.folder, 'sluice-a-1-0.ndjson'))
  assert.deepEqual(store.reader.story(id), [])
  assert.deepEqual(store.find(`id:${id}`), [id])
})

test('a service asks in a thread, and goes through the journal when there is no store', async (t) => {
  const id = testId()
  const store = await searched(t, deliveredStory(id))
  const search = openMessageSearch(store.folder)
  const nowhere = openMessageSearch(join(store.folder, 'none'))
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

test('bounces are counted by domain and what the reply was about, senders by their messages', async (t) => {
  const ids = [testId(), testId(), testId()] as const
  const failing = (id: MessageId, to: string, about?: string): readonly JournalEntry[] =>
    deliveredStory(id, to, 'Bob@remote.test').map((entry) => {
      if (entry.event !== 'delivered') return entry
      return { ...entry, event: 'failed', ...(about === undefined ? {} : { class: about }) }
    })
  const { reader } = await searched(t, [
    ...failing(ids[0], 'jane@Far.test', 'unknown-user'),
    ...failing(ids[1], 'joe@far.test', 'unknown-user'),
    ...deliveredStory(ids[2], 'ann@far.test', 'eve@other.test'),
  ])
  const { failures, senders } = reader.traffic(testedAt - 1_000)
  assert.deepEqual(failures, [{ class: 'unknown-user', domain: 'far.test', copies: 2 }])
  assert.deepEqual(
    senders.map(({ sender, messages }) => [sender, messages]),
    [
      ['bob@remote.test', 2],
      ['eve@other.test', 1],
    ],
  )
  assert.deepEqual(reader.traffic(acceptedAtOf(ids[2]) + 1_000), { failures: [], senders: [] })
})
