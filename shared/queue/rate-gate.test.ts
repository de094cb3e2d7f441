import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

import { silentLog } from '../log.ts'
import { openQueues } from './queues.ts'
import type { Queues, Taking } from './queues.ts'
import { redisMissing, startTestRedis } from './testing.ts'
import type { TestRedis } from './testing.ts'

const skip = await redisMissing()
let redis: TestRedis
const processes: Queues[] = []

before(async () => {
  if (skip) return
  redis = await startTestRedis()
  for (const service of ['one', 'other'])
    processes.push(openQueues({ endpoint: redis.endpoint, prefix: 'sluice', names: [], log: silentLog(), service }))
})
beforeEach(async () => {
  if (skip) return
  await redis.empty()
})
after(async () => {
  if (skip) return
  for (const queues of processes) await queues.close()
  await redis.close()
})

function take(nth: number, ...takings: readonly Taking[]): Promise<number> {
  const queues = processes[nth % processes.length]
  assert.ok(queues !== undefined)
  return queues.rateGate.take(takings)
}

function messages(count: number, periodMs = 600_000): Taking {
  return { key: 'far.test messages', amount: 1, count, periodMs }
}

test('all processes together take no more than the rate, and each that waits gets a later turn', { skip }, async () => {
  const answers: number[] = []
  for (let nth = 0; nth < 8; nth++) answers.push(await take(nth, messages(5)))
  assert.deepEqual(answers.slice(0, 5), [0, 0, 0, 0, 0])
  const [first = 0, second = 0, third = 0] = answers.slice(5)
  assert.ok(first > 0 && second > first && third > second, answers.join())
  assert.ok(first >= 600_000, 'within the period nothing becomes free')
  assert.equal(await take(0, { ...messages(5), key: 'near.test messages' }), 0, 'others are not touched')
})

test('what does not fit one rate is taken from none', { skip }, async () => {
  const recipients = { key: 'far.test recipients', amount: 6, count: 10, periodMs: 600_000 }
  assert.equal(await take(0, messages(2), recipients), 0)
  assert.notEqual(await take(1, messages(2), recipients), 0)
  assert.equal(await take(0, messages(2)), 0, 'the message that waits for its recipients has taken no place')
})

test('a message with more recipients than the rate allows goes when nothing else did', { skip }, async () => {
  const many = { key: 'far.test recipients', amount: 50, count: 10, periodMs: 600_000 }
  assert.equal(await take(0, many), 0)
  assert.notEqual(await take(1, { ...many, amount: 1 }), 0)
})

test('who waits as long as told finds room', { skip }, async () => {
  const fast = messages(2, 50)
  for (let nth = 0; nth < 6; nth++) {
    let asked = 0
    for (let waitMs = await take(nth, fast); waitMs > 0; waitMs = await take(nth, fast)) {
      await sleep(waitMs)
      assert.ok(++asked <= 3, 'asked again and again')
    }
  }
})

test('a single message has a turn before those of a sender with much mail', { skip }, async () => {
  const [one] = processes
  assert.ok(one !== undefined)
  const taking = messages(2)
  for (let nth = 0; nth < 50; nth++) await one.rateGate.take([taking], true)
  const many = await one.rateGate.take([taking], true)
  const single = await one.rateGate.take([taking])
  assert.ok(single < many, `${single} and ${many} ms`)
  assert.ok((await one.rateGate.take([taking])) > single, 'and the next one behind it')
})
