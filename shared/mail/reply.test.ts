import assert from 'node:assert/strict'
import { test } from 'node:test'

import { replies, withStatusCode } from './reply.ts'

test('a refusal has an enhanced status code of its class, whoever wrote it', () => {
  const cases = [
    [{ code: 550, text: 'no' }, '5.0.0'],
    [{ code: 451, text: 'no' }, '4.0.0'],
    [{ code: 550, enhanced: '5.7.1', text: 'no' }, '5.7.1'],
    [{ code: 450, enhanced: '5.7.1', text: 'no' }, '4.7.1'],
    [{ code: 554, enhanced: '4.4.21', text: 'no' }, '5.4.21'],
    [{ code: 250, text: 'mx.example.org' }, undefined],
    [{ code: 334, text: '' }, undefined],
  ] as const
  for (const [reply, enhanced] of cases) assert.equal(withStatusCode(reply).enhanced, enhanced)
  for (const reply of Object.values(replies)) assert.equal(withStatusCode(reply), reply)
})
