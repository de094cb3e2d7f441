import assert from 'node:assert/strict'
import { test } from 'node:test'

import { createLimiter } from './limiter.ts'

const never = new AbortController().signal

/** A work that ends when it is told to. */
function held(): { readonly work: () => Promise<void>; readonly end: () => void; readonly started: () => boolean } {
  let end = (): void => {}
  let isStarted = false
  const over = new Promise<void>((resolve) => {
    end = resolve
  })
  const work = (): Promise<void> => {
    isStarted = true
    return over
  }
  return { work, end, started: () => isStarted }
}

test('no more run at a time than allowed, and the others in their order', async () => {
  const limited = createLimiter(2)
  const works = [held(), held(), held(), held()]
  const results = works.map(({ work }) => limited(work, never))
  await Promise.resolve()
  assert.deepEqual(
    works.map((one) => one.started()),
    [true, true, false, false],
  )
  works[1]?.end()
  await results[1]
  await new Promise(setImmediate)
  assert.deepEqual(
    works.map((one) => one.started()),
    [true, true, true, false],
  )
  for (const { end } of works) end()
  await Promise.all(results)
})

test('a place is free again after a failure, and who gives up takes none', async () => {
  const limited = createLimiter(1)
  await assert.rejects(
    limited(() => Promise.reject(new Error('boom')), never),
    /boom/,
  )
  const first = held()
  const running = limited(first.work, never)
  const stop = new AbortController()
  const waiting = limited(() => Promise.resolve('late'), stop.signal)
  const next = limited(() => Promise.resolve('next'), never)
  stop.abort(new Error('enough'))
  await assert.rejects(waiting, /enough/)
  first.end()
  await running
  assert.equal(await next, 'next')
})
