import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { test } from 'node:test'

import { withDeadline } from './deadline.ts'

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
