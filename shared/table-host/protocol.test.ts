import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { parseMessage, questionLine } from './protocol.ts'

test('questions are written as OpenSMTPD writes them', () => {
  const lines = [
    questionLine('users', 1_713_795_097_394, '478ff0d2', 'update'),
    questionLine('users', 1_713_795_097_394, '478ff0d2', { ask: 'check', service: 'domain', key: 'a.org' }),
    questionLine('users', 1_713_795_097_394, '478ff0d2', { ask: 'lookup', service: 'alias', key: 'a|b' }),
    questionLine('users', 1_713_795_097_394, '478ff0d2', { ask: 'fetch', service: 'source' }),
  ]
  assert.deepEqual(lines, [
    'table|0.1|1713795097.394000|users|update|478ff0d2',
    'table|0.1|1713795097.394000|users|check|domain|478ff0d2|a.org',
    'table|0.1|1713795097.394000|users|lookup|alias|478ff0d2|a|b',
    'table|0.1|1713795097.394000|users|fetch|source|478ff0d2',
  ])
})

test('answers are understood, values with bars too; other lines are refused', () => {
  const result = (ask: string, given: object) => ({ kind: 'result', ask, id: 'x1', result: given })
  assert.deepEqual(parseMessage('register|alias'), { kind: 'registers', service: 'alias' })
  assert.deepEqual(parseMessage('register|ready'), { kind: 'ready' })
  assert.deepEqual(parseMessage('update-result|x1|ok'), result('update', { kind: 'done' }))
  assert.deepEqual(parseMessage('check-result|x1|found'), result('check', { kind: 'found', value: '' }))
  assert.deepEqual(parseMessage('lookup-result|x1|found|a, |b'), result('lookup', { kind: 'found', value: 'a, |b' }))
  assert.deepEqual(parseMessage('lookup-result|x1|not-found'), result('lookup', { kind: 'not-found' }))
  assert.deepEqual(parseMessage('check-result|x1|error|away'), result('check', { kind: 'error', text: 'away' }))
  for (const line of [
    '',
    'hello',
    'register|',
    'register|a|b',
    'lookup-result|x1',
    'lookup-result||found|a',
    'x-result|1|ok',
  ])
    assert.equal(parseMessage(line), undefined, line)
})

test('no line makes the parser throw', () => {
  fc.assert(fc.property(fc.string(), (line) => parseMessage(line) === undefined || line.includes('|')))
})
