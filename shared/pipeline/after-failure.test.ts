import assert from 'node:assert/strict'
import { test } from 'node:test'

import { afterFailure } from './after-failure.ts'

const failure = new Error('clamd is away')
const filter = { name: 'filter', tag: 'Filtered', onFailure: 'defer' } as const

test('without a number of attempts a stage that fails is tried for as long as the message lives', () => {
  const disposition = afterFailure(filter, { attempts: 500 }, failure)
  assert.ok(disposition.kind === 'reject' && disposition.reply.code === 451)
})

test('the last of the attempts holds the message and says why, none before it does', () => {
  const settings = { ...filter, attempts: 3 }
  assert.deepEqual(
    [0, 1, 2, 3].map((attempts) => afterFailure(settings, { attempts }, failure).kind),
    ['reject', 'reject', 'hold', 'hold'],
  )
  assert.deepEqual(afterFailure(settings, { attempts: 2 }, failure), {
    kind: 'hold',
    reason: 'filter failed at attempt 3: clamd is away',
  })
})

test('where mail may go on without the stage it is neither tried again nor held', () => {
  const disposition = afterFailure({ ...filter, attempts: 1, onFailure: 'proceed' }, { attempts: 0 }, failure)
  assert.ok(disposition.kind === 'pass' && disposition.tag === 'Filtered')
})
