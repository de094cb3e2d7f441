import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { test } from 'node:test'

import { LateError, withDeadline, withinTime } from './deadline.ts'

const untilAborted = (signal: AbortSignal): Promise<string> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve('stopped')
    signal.addEventListener('abort', () => resolve('stopped'), { once: true })
  })

test('work is told to stop when its time is over, or whoever asked for it stops', async () => {
  assert.equal(await withDeadline(new AbortController().signal, 1, untilAborted), 'stopped')
  const asking = new AbortController()
  const stopped = withDeadline(asking.signal, 60_000, untilAborted)
  asking.abort()
  assert.equal(await stopped, 'stopped')
  assert.equal(await withDeadline(asking.signal, 60_000, untilAborted), 'stopped')
})

test('what is done leaves nothing behind', async () => {
  const asking = new AbortController()
  assert.equal(await withDeadline(asking.signal, 60_000, async () => 'done'), 'done')
  await assert.rejects(
    withDeadline(asking.signal, 60_000, () => Promise.reject(new Error('no'))),
    /no/,
  )
  assert.deepEqual(getEventListeners(asking.signal, 'abort'), [])
})

test('nobody waits for work that does not heed its signal, and it is told why it should stop', async () => {
  const asking = new AbortController()
  const told: unknown[] = []
  const deaf = (signal: AbortSignal): Promise<never> => {
    signal.addEventListener('abort', () => told.push(signal.reason))
    return new Promise(() => {})
  }
  await assert.rejects(withinTime(asking.signal, 1, 'no answer', deaf), /LateError: no answer within 0.001 s/)
  assert.ok(told[0] instanceof LateError)
  const stopped = withinTime(asking.signal, 60_000, 'no answer', async (signal) => {
    await untilAborted(signal)
    throw signal.reason as Error
  })
  asking.abort(new Error('shutting down'))
  await assert.rejects(stopped, /shutting down/)
  assert.deepEqual(getEventListeners(asking.signal, 'abort'), [])
})
