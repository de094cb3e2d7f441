import assert from 'node:assert/strict'
import { test } from 'node:test'

import { oneAtATime } from './one-at-a-time.ts'

test('a call while work runs waits for a run that begins after it, and shares it', async () => {
  const ends: (() => void)[] = []
  const run = oneAtATime(
    () =>
      new Promise<void>((resolve) => {
        ends.push(resolve)
      }),
  )
  const first = run()
  const second = run()
  const third = run()
  assert.equal(ends.length, 1)
  ends[0]?.()
  await first
  while (ends.length < 2) await Promise.resolve()
  const fourth = run()
  ends[1]?.()
  await Promise.all([second, third])
  while (ends.length < 3) await Promise.resolve()
  ends[2]?.()
  await fourth
  const fifth = run()
  assert.equal(ends.length, 4)
  ends[3]?.()
  await fifth
})
