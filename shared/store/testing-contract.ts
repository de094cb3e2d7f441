import assert from 'node:assert/strict'
import { appendFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import fc from 'fast-check'

import { storyOf } from '../journal.ts'
import type { JournalEntry } from '../journal.ts'
import { acceptedAtOf, derivedMessageId } from '../mail/message-id.ts'
import type { MessageId } from '../mail/message-id.ts'
import { stateNumber } from './copy-state.ts'
import { hourMs } from './hours.ts'
import { journalFiles } from './journal-tail.ts'
import { QueryError, parseQuery } from './query.ts'
import type { StoreReader } from './store-reader.ts'
import { deliveredStory, testId, testedAt } from './testing.ts'
import type { TestStore } from './testing.ts'
import type { TrimQuestion } from './trim.ts'

/** What every database of the store must do: tests for one of them. */
export function testStoreContract(
  kind: string,
  make: (t: TestContext) => Promise<TestStore>,
  skip: string | false = false,
): void {
  test(
    `${kind}: a message, its copies and the way they went are known once the journal tells them`,
    { skip },
    async (t) => {
      const store = await make(t)
      const id = testId()
      await store.write(deliveredStory(id))
      await store.catchUp()
      assert.deepEqual(await store.messages(), [
        [id, 1, 'bob@remote.test', 1_000, '192.0.2.7', `<${id}@remote.test>`, 'Filtered'],
      ])
      assert.deepEqual(await store.copies(), [
        [
          id,
          0,
          'jane@example.org',
          stateNumber('delivered'),
          'deliver',
          'smtpd.conf:5\nsmtpd.conf:7',
          '250 2.0.0 Saved',
        ],
      ])
    },
  )

  test(
    `${kind}: lines of several processes come to the same end in whichever order they are read`,
    { skip },
    async (t) => {
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
      const straight = await make(t)
      await straight.write(story)
      await straight.catchUp()
      const mixed = await make(t)
      for (const [line, entry] of story.toReversed().entries()) {
        await mixed.write([entry], `process${line}-1-1-0.ndjson`)
        await mixed.catchUp()
      }
      assert.deepEqual(await mixed.messages(), await straight.messages())
      const withoutRules = (rows: readonly unknown[]): unknown =>
        (rows as readonly unknown[][]).map((row) => row.toSpliced(5, 1))
      assert.deepEqual(withoutRules(await mixed.copies()), withoutRules(await straight.copies()))
    },
  )

  test(`${kind}: what one line says twice changes nothing, and the first final outcome stands`, { skip }, async (t) => {
    const store = await make(t)
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
    await store.catchUp()
    assert.deepEqual(((await store.copies())[0] as unknown[]).slice(3, 5), [stateNumber('delivered'), 'deliver'])
    assert.equal((await store.copies()).length, 1)
  })

  test(`${kind}: a line that is not whole waits until it is`, { skip }, async (t) => {
    const store = await make(t)
    const id = testId()
    const [received] = deliveredStory(id)
    const line = `${JSON.stringify(received)}\n`
    const file = join(store.folder, 'a-1-1-0.ndjson')
    await writeFile(file, line.slice(0, 40))
    await store.catchUp()
    assert.deepEqual(await store.messages(), [])
    await appendFile(file, line.slice(40))
    await store.catchUp()
    assert.equal((await store.messages()).length, 1)
  })

  test(`${kind}: a torn line between whole ones costs that line alone`, { skip }, async (t) => {
    const store = await make(t)
    const [one, other] = [testId(), testId()]
    await store.write(deliveredStory(one))
    await appendFile(join(store.folder, 'sluice-a-1-0.ndjson'), '{"at":12,"event":"recei\n\n"x"\n7\nnull\n')
    await store.write(deliveredStory(other))
    await store.catchUp()
    assert.equal((await store.messages()).length, 2)
  })

  test(`${kind}: after a crash nothing is read twice and nothing is left out`, { skip }, async (t) => {
    const store = await make(t)
    const ids = [testId(), testId(), testId()]
    for (const id of ids) {
      await store.write(deliveredStory(id))
      await store.catchUp()
      await store.crash()
    }
    await store.catchUp()
    assert.equal((await store.messages()).length, ids.length)
    const reader = await store.reader()
    for (const id of ids) assert.equal((await reader.story(id)).length, 5)
  })

  test(
    `${kind}: a report has a time of its own, though its id follows from that of the message`,
    { skip },
    async (t) => {
      const store = await make(t)
      const about = testId()
      const id = derivedMessageId(about, 'failed')
      const at = testedAt + 500_000_000
      await store.write([
        ...deliveredStory(about),
        { at, event: 'made', id, from: null, to: ['bob@remote.test'], sizeBytes: 9 },
        { at, event: 'reported', id, about, to: 'bob@remote.test', action: 'failed' },
        { at: at + 1, event: 'relayed', id, recipient: 'bob@remote.test', rcpt: 0, stage: 'relay', reply: '250 Ok' },
      ])
      await store.catchUp()
      await store.write([{ at: at + 9, event: 'removed', id, rcpt: [0], by: 'x' }])
      await store.catchUp()
      assert.deepEqual(
        (await store.messages()).map((row) => (row as unknown[]).slice(0, 3)),
        [
          [about, 1, 'bob@remote.test'],
          [id, 2, ''],
        ],
      )
      assert.equal((await store.copies()).length, 2)
    },
  )

  test(
    `${kind}: recipients who were refused are known, and are no copies of what was accepted`,
    { skip },
    async (t) => {
      const store = await make(t)
      const id = testId()
      const refused = {
        event: 'rejected',
        id,
        from: 'bob@remote.test',
        address: '192.0.2.7',
        listener: 'x',
        stage: 'rcpt',
      }
      await store.write([
        { ...refused, at: testedAt, to: 'nobody@example.org', reply: '550 5.1.1 No such user' },
        ...deliveredStory(id),
      ])
      await store.catchUp()
      assert.equal(((await store.messages())[0] as unknown[])[1], 1)
      assert.deepEqual(
        (await store.copies()).map((row) => (row as unknown[]).slice(1, 4)),
        [
          [0, 'jane@example.org', stateNumber('delivered')],
          [1_000_000, 'nobody@example.org', stateNumber('refused')],
        ],
      )
    },
  )

  test(`${kind}: two copies to one address are told apart`, { skip }, async (t) => {
    const store = await make(t)
    const id = testId()
    const to = ['jane@example.org', 'jane@example.org']
    await store.write([
      { at: testedAt, event: 'received', id, from: 'bob@remote.test', to, sizeBytes: 1 },
      { at: testedAt + 1, event: 'delivered', id, recipient: to[1], rcpt: 1, stage: 'deliver', reply: '250 Ok' },
    ])
    await store.catchUp()
    assert.deepEqual(
      (await store.copies()).map((row) => (row as unknown[])[3]),
      [stateNumber('queued'), stateNumber('delivered')],
    )
  })

  test(`${kind}: lines of older versions, which name no copies, are understood`, { skip }, async (t) => {
    const store = await make(t)
    const id = testId()
    const to = ['jane@example.org', 'eve@example.org']
    await store.write([
      { at: testedAt, event: 'received', id, from: 'bob@remote.test', to, sizeBytes: 1 },
      { at: testedAt + 1, event: 'delivered', id, recipient: 'Eve@example.org', stage: 'deliver', reply: '250 Ok' },
      { at: testedAt + 2, event: 'discarded', id, stage: 'filter', reason: 'virus' },
    ])
    await store.catchUp()
    assert.deepEqual(
      (await store.copies()).map((row) => (row as unknown[])[3]),
      [stateNumber('discarded'), stateNumber('delivered')],
    )
  })

  test(
    `${kind}: it is told which messages nobody knows to be accepted, and which copies are open`,
    { skip },
    async (t) => {
      const store = await make(t)
      const [done, open, unknown] = [testId(), testId(), testId()]
      await store.write([...deliveredStory(done), ...deliveredStory(open).slice(0, 2)])
      await store.catchUp()
      assert.deepEqual(await store.writer.unaccepted([done, open, unknown]), [unknown])
      const question = { acceptedBefore: Number.MAX_SAFE_INTEGER }
      assert.deepEqual([...(await store.writer.openCopies(question)).messages], [[open, [0]]])
      assert.deepEqual([...(await store.writer.openCopies({ acceptedBefore: testedAt })).messages], [])
    },
  )

  test(`${kind}: whatever a line says, the lines behind it are read`, { skip }, async (t) => {
    const store = await make(t)
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
    await store.catchUp()
    assert.equal((await store.messages()).length, 2)
  })

  test(`${kind}: a message is found by each thing that is known of it`, { skip }, async (t) => {
    const [id, other] = [testId(), testId()]
    const story = changed(deliveredStory(id, 'Jane@Example.org', 'bob@remote.test'), 'received', { user: 'bob' })
    const { find } = await searched(await make(t), [
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
      assert.deepEqual(await find(query), [id], query)
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
      assert.deepEqual(await find(query), [], query)
    }
    assert.deepEqual(await find(''), [other, id])
    assert.deepEqual(await find('status:open'), [other])
    assert.deepEqual(await find('rule:/etc/smtpd.conf:99'), [other])
  })

  test(`${kind}: what each attempt was told is found, and the last is shown`, { skip }, async (t) => {
    const id = testId()
    const failing = (at: number, reply: string, event = 'delayed') => ({
      at: testedAt + at,
      event,
      id,
      recipient: 'jane@example.org',
      rcpt: 0,
      stage: 'relay',
      remoteMta: 'mx.far.test',
      reply,
      nextAt: testedAt + at + 1,
    })
    const to = ['jane@example.org']
    const { find, reader } = await searched(await make(t), [
      { at: testedAt, event: 'received', id, from: null, to, sizeBytes: 1, subject: 'Grüße aus Köln' },
      failing(2, '451 4.7.1 Greylisted'),
      failing(3, '451 4.7.1 Greylisted'),
      failing(1, '421 too many\r\nconnections'),
      failing(4, '452 4.2.2 Mailbox full'),
      failing(5, '250 2.0.0 queued as XYZ', 'relayed'),
    ])
    for (const text of [
      'greylisted',
      '"too many connections"',
      '"mailbox full"',
      'XYZ',
      'subject:köln',
      'subject:"grüße aus"',
    ])
      assert.deepEqual(await find(text), [id], text)
    for (const text of ['subject:greylisted', 'text:köln', '-subject:köln', 'subject:"aus grüße"'])
      assert.deepEqual(await find(text), [], text)
    const { messages } = await reader.search({ query: parseQuery('', testedAt), limit: 1 })
    assert.deepEqual(
      [messages[0]?.subject, messages[0]?.copies[0]?.remote],
      ['Grüße aus Köln', 'mx.far.test: 250 2.0.0 queued as XYZ'],
    )
  })

  test(`${kind}: what is asked of a copy must hold of one and the same copy`, { skip }, async (t) => {
    const id = testId()
    const to = ['jane@example.org', 'eve@example.org']
    const { find, reader } = await searched(await make(t), [
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
    assert.deepEqual(await find('to:jane@example.org status:failed'), [])
    assert.deepEqual(await find('to:eve@example.org status:failed class:mailbox-full from:<>'), [id])
    const { messages } = await reader.search({ query: parseQuery('status:failed', testedAt), limit: 1 })
    const [found] = messages
    assert.deepEqual(found?.from, null)
    assert.deepEqual(
      found?.copies.map(({ mailbox }) => mailbox),
      ['eve@example.org', 'jane@example.org'],
    )
  })

  test(
    `${kind}: all that a query finds is chosen with the copies that it asks about, up to a bound, and counted`,
    { skip },
    async (t) => {
      const [one, other] = [testId(), testId()]
      const to = ['jane@example.org', 'eve@example.org']
      const { reader } = await searched(await make(t), [
        ...[one, other].map((id) => ({ at: testedAt, event: 'received', id, from: null, to, sizeBytes: 1 })),
        { at: testedAt, event: 'held', id: one, rcpt: [1], stage: 'filter', reason: 'spam: score 12' },
      ])
      const choose = (text: string, most = 10) => reader.choose({ query: parseQuery(text, testedAt), most })
      const queued = to.map((_, n) => ({ n, state: 'queued' }))
      assert.deepEqual(await choose('status:held'), {
        messages: [{ id: one, copies: [{ n: 1, state: 'held' }] }],
        isCut: false,
      })
      assert.deepEqual(await choose('-status:held'), { messages: [{ id: other, copies: queued }], isCut: false })
      assert.deepEqual(await choose('', 1), { messages: [{ id: other, copies: queued }], isCut: true })
      assert.deepEqual(await choose('to:nobody@example.org'), { messages: [], isCut: false })
      const count = (text: string, most: number) => reader.count({ query: parseQuery(text, testedAt), most })
      assert.deepEqual(
        [await count('status:open', 5), await count('status:open', 1), await count('status:failed', 5)],
        [2, 1, 0],
      )
    },
  )

  test(`${kind}: pages follow each other, newest first, without gap or repetition`, { skip }, async (t) => {
    const ids = Array.from({ length: 25 }, testId)
    const { reader } = await searched(
      await make(t),
      ids.flatMap((id) => deliveredStory(id)),
    )
    for (const text of ['', 'to:jane@example.org', 'domain:example.org', 'jane@example.org', 'rule:7,5', 'saved']) {
      assert.deepEqual(await allPages(reader, text, 7), ids.toReversed(), text)
    }
  })

  test(
    `${kind}: of things that hold of thousands each, what has all of them is found however far back`,
    { skip },
    async (t) => {
      const ids = Array.from({ length: 6_000 }, testId)
      const failed = new Set([0, 1, 99, 5_000, 5_400, 5_401, 5_950, 5_998].map((place) => ids[place]))
      const { reader } = await searched(
        await make(t),
        ids.flatMap((id) => {
          const story = deliveredStory(id)
          return failed.has(id) ? story.map((entry) => ({ ...entry, event: failedFor(entry.event) })) : story
        }),
      )
      const expected = ids.filter((id) => failed.has(id)).toReversed()
      for (const text of ['tag:Filtered -status:delivered', 'rule:5 tag:Filtered domain:example.org status:failed'])
        for (const limit of [1, 3, 50])
          assert.deepEqual(await allPages(reader, text, limit), expected, `${text} ${limit}`)
      assert.deepEqual(await allPages(reader, 'tag:Filtered status:held rule:5', 50), [])
    },
  )

  test(`${kind}: what is typed never becomes part of the question to the database`, { skip }, async (t) => {
    const id = testId()
    const { find, reader } = await searched(await make(t), deliveredStory(id))
    const words = fc.constantFrom('to:', 'from:', 'text:', 'domain:', 'rule:', 'tag:', 'user:', '-text:', '')
    const hostile = fc.string({
      unit: fc.constantFrom(...`'"%_\\;()*-^:@ abANDORNEAR`.split('')),
      minLength: 1,
      maxLength: 30,
    })
    await fc.assert(
      fc.asyncProperty(words, hostile, async (word, text) => {
        try {
          await find(`${word}"${text.replaceAll('"', '')}"`)
        } catch (error) {
          assert.ok(error instanceof QueryError, String(error))
        }
      }),
    )
    assert.deepEqual(await find(''), [id])
    assert.equal((await reader.sums()).delivered, 1)
  })

  test(
    `${kind}: a story is told from the places the store knows and from what was written since`,
    { skip },
    async (t) => {
      const id = testId()
      const about = derivedMessageId(id, 'failed')
      const story = deliveredStory(id)
      const store = await make(t)
      const { reader } = await searched(store, story.slice(0, 3))
      await store.write([
        ...story.slice(3),
        { at: testedAt + 20, event: 'reported', id: about, about: id, to: 'x', action: 'failed' },
      ])
      assert.equal((await reader.story(id)).length, 6)
      await store.catchUp()
      const told = await reader.story(id)
      assert.deepEqual(told, await storyOf(store.folder, id))
      assert.equal(told.length, 6)
      assert.deepEqual(await reader.story(testId()), [])
    },
  )

  test(
    `${kind}: bounces are counted by domain and what the reply was about, senders by their messages`,
    { skip },
    async (t) => {
      const ids = [testId(), testId(), testId(), testId()] as const
      const failing = (id: MessageId, to: string, about: string, said: object): readonly JournalEntry[] =>
        deliveredStory(id, to, 'Bob@remote.test').map((entry) => {
          if (entry.event !== 'delivered') return entry
          return { ...entry, event: 'failed', class: about, ...said }
        })
      const { reader } = await searched(await make(t), [
        ...failing(ids[0], 'jane@Far.test', 'unknown-user', {
          remoteMta: 'MX.far.test[192.0.2.9]:25',
          reply: '550 No',
        }),
        ...failing(ids[1], 'joe@far.test', 'unknown-user', { reply: '550 nobody [here]' }),
        ...failing(ids[3], 'eva@far.test', 'unknown-user', { reply: '550 nobody' }),
        ...deliveredStory(ids[2], 'ann@far.test', 'eve@other.test'),
      ])
      const { failures, hosts, senders } = await reader.traffic(testedAt - 1_000)
      assert.deepEqual(failures, [{ class: 'unknown-user', domain: 'far.test', copies: 3 }])
      assert.deepEqual(
        senders.map(({ sender, messages }) => [sender, messages]),
        [
          ['bob@remote.test', 3],
          ['eve@other.test', 1],
        ],
      )
      assert.deepEqual(
        hosts.toSorted((one, other) => (one.host ?? '').localeCompare(other.host ?? '')),
        [
          { class: 'unknown-user', copies: 2 },
          { host: 'mx.far.test', class: 'unknown-user', copies: 1 },
        ],
      )
      assert.deepEqual(await reader.recipientDomains(testedAt - 1_000), [{ domain: 'far.test', copies: 4, failed: 3 }])
      const later = acceptedAtOf(ids[3]) + 1_000
      assert.deepEqual(await reader.traffic(later), { failures: [], hosts: [], senders: [], users: [] })
      assert.deepEqual(await reader.recipientDomains(later), [])
    },
  )

  test(
    `${kind}: who signed in is counted with what failed, and each hour with what became of its mail`,
    { skip },
    async (t) => {
      const ids = [testId(), testId(), testId()] as const
      const sentBy = (id: MessageId, user: string | undefined, end: string): readonly JournalEntry[] =>
        deliveredStory(id).map((entry) => {
          if (entry.event === 'received') return { ...entry, ...(user === undefined ? {} : { user }) }
          return entry.event === 'delivered' ? { ...entry, event: end } : entry
        })
      const { reader } = await searched(await make(t), [
        ...sentBy(ids[0], 'Jane', 'failed'),
        ...sentBy(ids[1], 'jane', 'delivered'),
        ...sentBy(ids[2], undefined, 'delivered'),
      ])
      const at = acceptedAtOf(ids[0])
      assert.deepEqual((await reader.traffic(at - 1_000)).users, [
        { user: 'jane', messages: 2, copies: 2, failed: 1, held: 0 },
      ])
      const counted = await reader.hours(at)
      assert.ok(counted.every((one) => one.at % hourMs === 0 && one.at > at - hourMs))
      const sum = (state: 'failed' | 'delivered'): number =>
        counted.reduce((all, { copies }) => all + (copies[state] ?? 0), 0)
      assert.deepEqual([sum('failed'), sum('delivered')], [1, 2])
      assert.deepEqual(await reader.hours(acceptedAtOf(ids[2]) + hourMs), [])
    },
  )

  test(`${kind}: what is old goes with all that is known of it; what is not settled stays`, { skip }, async (t) => {
    const store = await make(t)
    const ids = Array.from({ length: 1_200 }, testId)
    const open = testId()
    await store.write([...ids.flatMap((id) => deliveredStory(id)), ...deliveredStory(open).slice(0, 2)])
    await store.catchUp()
    assert.equal(await count(store, 'saved'), 1_200)
    await trimAll(store, { before: testedAt })
    assert.equal(await count(store, ''), 1_201)
    await trimAll(store, { before: forAll })
    assert.deepEqual(
      (await store.messages()).map((row) => (row as unknown[])[0]),
      [open],
    )
    assert.equal((await store.copies()).length, 1)
    assert.equal(await count(store, 'saved'), 0)
  })

  test(`${kind}: a file that is not read to its end stays, whatever the size`, { skip }, async (t) => {
    const store = await make(t)
    await store.write(deliveredStory(testId()), 'sluice-a-1-0.ndjson')
    await store.write(deliveredStory(testId()), 'sluice-a-1-1.ndjson')
    await trimAll(store, { before: 0, maxBytes: 1 })
    assert.equal(journalFiles(store.folder).length, 2)
  })
}

interface Searched {
  readonly reader: StoreReader
  find(query: string): Promise<readonly MessageId[]>
}

async function searched(store: TestStore, entries: readonly JournalEntry[]): Promise<Searched> {
  await store.write(entries)
  await store.catchUp()
  const reader = await store.reader()
  return {
    reader,
    find: async (query) => {
      const { messages } = await reader.search({ query: parseQuery(query, testedAt), limit: 100 })
      return messages.map(({ id }) => id)
    },
  }
}

function changed(story: readonly JournalEntry[], event: string, fields: object): readonly JournalEntry[] {
  return story.map((entry) => (entry.event === event ? { ...entry, ...fields } : entry))
}

async function trimAll(store: TestStore, question: TrimQuestion): Promise<void> {
  while (await store.writer.trim(question));
}

async function count(store: TestStore, query: string): Promise<number> {
  const reader = await store.reader()
  return (await reader.search({ query: parseQuery(query, testedAt), limit: 5_000 })).messages.length
}

const forAll = testedAt + 1e9

function failedFor(event: string): string {
  return event === 'delivered' ? 'failed' : event
}

async function allPages(reader: StoreReader, text: string, limit: number): Promise<readonly MessageId[]> {
  const query = parseQuery(text, testedAt)
  const found: MessageId[] = []
  for (let before: string | undefined; ;) {
    const page = await reader.search({ query, limit, ...(before === undefined ? {} : { before }) })
    found.push(...page.messages.map(({ id }) => id))
    before = page.next
    if (before === undefined) return found
  }
}
