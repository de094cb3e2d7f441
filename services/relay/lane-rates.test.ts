import assert from 'node:assert/strict'
import { test } from 'node:test'

import { settled } from '../../shared/mail/disposition.ts'
import type { RateGate, Taking } from '../../shared/queue/queues.ts'
import { withinRates } from './lane-rates.ts'
import { stageContext, stageMessage } from './testing.ts'

const done = settled([])
const rates = { messages: { count: 100, periodMs: 60_000 }, recipients: { count: 5, periodMs: 1_000 } }

function run(take: RateGate['take'], settings = rates) {
  const message = stageMessage({ to: ['ann@far.test', 'bob@far.test'] })
  return withinRates(message, stageContext({ rateGate: { take } }), 'far.test', settings, async () => done)
}

test('a message takes its place in the rate of messages, and one for each recipient', async () => {
  const taken: Taking[] = []
  const take = async (takings: readonly Taking[]) => {
    taken.push(...takings)
    return 0
  }
  assert.equal(await run(take), done)
  assert.deepEqual(
    taken.map(({ amount, count, periodMs }) => [amount, count, periodMs]),
    [
      [1, 100, 60_000],
      [2, 5, 1_000],
    ],
  )
})

test('without room, or while Redis is away, the message waits and is not tried', async () => {
  const full = await run(async () => 750)
  assert.ok(full.kind === 'postpone' && full.delayMs === 750)
  const away = await run(() => Promise.reject(new Error('away')))
  assert.ok(away.kind === 'postpone' && away.delayMs === 30_000)
})

test('a destination without rates asks nobody', async () => {
  const message = stageMessage()
  const context = stageContext({ rateGate: { take: () => assert.fail('asked') } })
  assert.equal(await withinRates(message, context, 'far.test', {}, async () => done), done)
})
