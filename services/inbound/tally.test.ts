import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import type { Tallies } from '../../shared/queue/queues.ts'
import { Tally } from './tally.ts'

const hourMs = 3_600_000

function sharedMemory(): Pick<Tallies, 'merge'> {
  const totals = new Map<string, number>()
  return {
    async merge(additions) {
      return additions.map(({ key, amount }) => {
        const total = (totals.get(key) ?? 0) + amount
        if (amount !== 0) totals.set(key, total)
        return total
      })
    },
  }
}

test('a time that slides along: half an hour into the next, half of the hour before still counts', () => {
  let now = 10 * hourMs
  const tally = new Tally({ now: () => now })
  assert.equal(tally.add('a', hourMs, 100), 100)
  now += hourMs
  assert.equal(tally.of('a', hourMs), 100)
  now += hourMs / 2
  assert.equal(tally.add('a', hourMs), 51)
  now += hourMs / 2
  assert.equal(tally.of('a', hourMs), 1)
  now += 2 * hourMs
  assert.equal(tally.of('a', hourMs), 0)
})

test('never more than twice the count in any time of that length, and no client is kept out for ever', () => {
  const steps = fc.array(fc.tuple(fc.integer({ min: 0, max: hourMs }), fc.integer({ min: 1, max: 5 })), {
    maxLength: 60,
  })
  fc.assert(
    fc.property(steps, (all) => {
      let now = 1_000 * hourMs
      const tally = new Tally({ now: () => now })
      const taken: number[] = []
      for (const [waitMs, amount] of all) {
        now += waitMs
        if (tally.of('a', hourMs) + amount > 10) continue
        tally.add('a', hourMs, amount)
        for (let one = 0; one < amount; one += 1) taken.push(now)
        assert.ok(taken.filter((at) => at > now - hourMs).length <= 20)
      }
      now += 2 * hourMs
      assert.equal(tally.of('a', hourMs), 0)
    }),
  )
})

test('processes count together after they exchanged, and one that comes later learns of the time before', async () => {
  let now = 10 * hourMs
  const shared = sharedMemory()
  const [one, other, late] = [0, 1, 2].map(() => new Tally({ now: () => now, shared }))
  assert.ok(one !== undefined && other !== undefined && late !== undefined)
  one.add('a', hourMs, 3)
  other.add('a', hourMs, 4)
  await one.exchange()
  await other.exchange()
  assert.equal(other.of('a', hourMs), 7)
  assert.equal(one.of('a', hourMs), 3, 'it was first')
  one.add('a', hourMs)
  await one.exchange()
  assert.equal(one.of('a', hourMs), 8)
  now += hourMs
  late.add('a', hourMs)
  await late.exchange()
  assert.equal(late.of('a', hourMs), 9)
})

test('what is taken back is taken back everywhere', async () => {
  const shared = sharedMemory()
  const [one, other] = [0, 1].map(() => new Tally({ now: () => 5, shared }))
  one?.add('a', hourMs, 2)
  await one?.exchange()
  one?.add('a', hourMs, -1)
  await one?.exchange()
  other?.add('a', hourMs)
  await other?.exchange()
  assert.equal(other?.of('a', hourMs), 2)
})

test('while the others cannot be reached it goes on by itself, and tells them afterwards', async () => {
  const memory = sharedMemory()
  let away = true
  const merge: Tallies['merge'] = (additions) => (away ? Promise.reject(new Error('away')) : memory.merge(additions))
  const tally = new Tally({ now: () => 5, shared: { merge } })
  tally.add('a', hourMs, 2)
  await tally.exchange()
  assert.equal(tally.add('a', hourMs), 3)
  away = false
  await tally.exchange()
  assert.equal(tally.of('a', hourMs), 3)
  assert.deepEqual(await memory.merge([{ key: 'a:0', amount: 0, keepMs: 1 }]), [3])
})

test('what is counted while an exchange is under way is not lost, and not counted twice', async () => {
  const memory = sharedMemory()
  let proceed = (): void => undefined
  const paused = new Promise<void>((resolve) => {
    proceed = resolve
  })
  const merge: Tallies['merge'] = async (additions) => {
    await paused
    return memory.merge(additions)
  }
  const tally = new Tally({ now: () => 5, shared: { merge } })
  tally.add('a', hourMs, 2)
  const exchanging = tally.exchange()
  tally.add('a', hourMs, 5)
  proceed()
  await exchanging
  assert.equal(tally.of('a', hourMs), 7)
  await tally.exchange()
  assert.equal(tally.of('a', hourMs), 7)
  assert.deepEqual(await memory.merge([{ key: 'a:0', amount: 0, keepMs: 1 }]), [7])
})

test('memory is bounded: who was not counted longest is forgotten', () => {
  const tally = new Tally({ now: () => 5, mostKeys: 2 })
  for (const key of ['a', 'b', 'a', 'c']) tally.add(key, hourMs)
  assert.deepEqual(
    ['a', 'b', 'c'].map((key) => tally.of(key, hourMs)),
    [2, 0, 1],
  )
})
