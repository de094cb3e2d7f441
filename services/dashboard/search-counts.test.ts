import assert from 'node:assert/strict'
import { test } from 'node:test'

import { signalOf } from '../../shared/queue/testing.ts'
import { createSearchCounts } from './search-counts.ts'

test('a search that a page shows is counted once in half a minute, and one that takes long holds no page up', async () => {
  const time = { now: 0 }
  const asked: string[] = []
  const slow = signalOf<number>()
  const counts = createSearchCounts(
    async ({ query, most }) => {
      const [term] = query.terms
      asked.push(term?.values[0] ?? '')
      if (term?.values[0] === 'slow') return slow.promise
      if (term?.values[0] === 'bad') throw new Error('took too long')
      return Math.min(most, term?.values[0] === 'many' ? 1_000_000 : 3)
    },
    { now: () => time.now },
    60_000,
  )
  const all = ['tag:few', 'tag:many', 'tag:bad']
  assert.deepEqual(
    [...(await counts.of(all))],
    [
      ['tag:few', { count: 3, isCut: false }],
      ['tag:many', { count: 10_000, isCut: true }],
    ],
  )
  time.now += 29_000
  await counts.of(all)
  assert.deepEqual(asked, ['few', 'many', 'bad'])
  time.now += 2_000
  await counts.of(all)
  assert.deepEqual(asked, ['few', 'many', 'bad', 'few', 'many'])

  const impatient = createSearchCounts(async () => slow.promise, { now: () => time.now }, 1)
  assert.equal((await impatient.of(['tag:slow'])).size, 0)
  assert.equal((await impatient.of(['tag:slow'])).size, 0)
  slow.resolve(7)
  while ((await impatient.of(['tag:slow'])).get('tag:slow')?.count !== 7);
})
