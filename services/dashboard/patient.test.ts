import assert from 'node:assert/strict'
import { test } from 'node:test'

import { signalOf } from '../../shared/queue/testing.ts'
import { patient } from './patient.ts'

test('a page does not wait for what takes long, and shows what was known before meanwhile', async () => {
  const answers = [signalOf<string>(), signalOf<string>(), signalOf<string>()]
  let asked = 0
  const look = patient(async () => answers[asked++]?.promise ?? 'none', 0)
  assert.equal(await look(), undefined, 'nothing is known yet')
  answers[1]?.resolve('first')
  assert.equal(await look(), 'first')
  assert.equal(await look(), 'first', 'while it is asked anew')
})

test('what fails in time is told', async () => {
  const look = patient(() => Promise.reject(new Error('no store')), 60_000)
  await assert.rejects(look(), /no store/)
})
