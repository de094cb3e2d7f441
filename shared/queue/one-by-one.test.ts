import assert from 'node:assert/strict'
import { test } from 'node:test'

import { OneByOne } from './one-by-one.ts'
import { signalOf } from './testing.ts'

test('suspects run one after the other, also when one fails', async () => {
  const oneByOne = new OneByOne(60_000)
  const trace: string[] = []
  const gate = signalOf()
  const first = oneByOne.run(async () => {
    trace.push('first')
    await gate.promise
    trace.push('first ends')
    throw new Error('broken')
  })
  const second = oneByOne.run(() => Promise.resolve(trace.push('second')))
  gate.resolve()
  await assert.rejects(first, /broken/)
  await second
  assert.deepEqual(trace, ['first', 'first ends', 'second'])
})

test('a slow suspect does not hold up the next one for ever', async () => {
  const oneByOne = new OneByOne(1)
  const gate = signalOf()
  const slow = oneByOne.run(() => gate.promise)
  await oneByOne.run(() => Promise.resolve())
  gate.resolve()
  await slow
})
