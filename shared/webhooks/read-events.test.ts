import assert from 'node:assert/strict'
import { appendFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import { deliveredStory, testId, testStore, testedAt } from '../store/testing.ts'
import { journalEnds, mostEvents, nextEvents } from './read-events.ts'
import type { EventsQuestion, Positions } from './read-events.ts'

function question(folder: string, more: Partial<EventsQuestion> = {}): EventsQuestion {
  return { folder, positions: new Map(), events: ['received', 'delivered'], notBefore: 0, ...more }
}

function told(events: readonly string[]): readonly Readonly<Record<string, unknown>>[] {
  return events.map((text) => JSON.parse(text) as Readonly<Record<string, unknown>>)
}

test('events are read once, those alone that are wanted, and no more than fit one request', async (t) => {
  const store = await testStore(t)
  const ids = Array.from({ length: mostEvents }, testId)
  await store.write(ids.flatMap((id) => deliveredStory(id)))
  const first = nextEvents(question(store.folder))
  assert.equal(first.events.length, mostEvents)
  assert.equal(first.isAll, false)
  const second = nextEvents(question(store.folder, { positions: first.positions }))
  assert.equal(second.isAll, true)
  const all = told([...first.events, ...second.events])
  assert.deepEqual(
    all.map(({ id, event }) => `${String(id)} ${String(event)}`),
    ids.flatMap((id) => [`${id} received`, `${id} delivered`]),
  )
  assert.equal(new Set(all.map(({ eventId }) => eventId)).size, all.length)
  assert.notEqual(first.id, second.id)
  assert.deepEqual(nextEvents(question(store.folder)).events, first.events)
  const third = nextEvents(question(store.folder, { positions: second.positions }))
  assert.deepEqual([third.events, third.isAll], [[], true])
})

test('what is too old is counted and passed over; files that are gone are forgotten, torn lines too', async (t) => {
  const store = await testStore(t)
  await store.write(deliveredStory(testId()))
  await store.write(deliveredStory(testId()), 'sluice-b-1-0.ndjson')
  await appendFile(join(store.folder, 'sluice-b-1-0.ndjson'), '{"at":1,"event":"deliv\n{"at":')
  const counts: string[] = []
  let positions: Positions = new Map()
  for (let isAll = false; !isAll;) {
    const batch = nextEvents(question(store.folder, { positions, notBefore: testedAt + 1 }))
    if (batch.passedOver.count > 0) assert.equal(batch.passedOver.oldestAt, testedAt)
    counts.push(`${batch.passedOver.count} over, ${batch.events.length} posted`)
    ;({ positions, isAll } = batch)
  }
  assert.deepEqual(counts, ['1 over, 0 posted', '0 over, 1 posted', '1 over, 0 posted', '0 over, 1 posted'])
  assert.equal(positions.size, 2)
  await rm(join(store.folder, 'sluice-b-1-0.ndjson'))
  assert.deepEqual([...nextEvents(question(store.folder, { positions })).positions.keys()], ['sluice-a-1-0.ndjson'])
})

test('who begins at the end hears only what comes', async (t) => {
  const store = await testStore(t)
  assert.deepEqual(journalEnds(join(store.folder, 'nothing')), new Map())
  await store.write(deliveredStory(testId()))
  const positions = journalEnds(store.folder)
  assert.deepEqual(nextEvents(question(store.folder, { positions })).events, [])
  await store.write(deliveredStory(testId()))
  assert.equal(nextEvents(question(store.folder, { positions })).events.length, 2)
})
