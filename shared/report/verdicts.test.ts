import assert from 'node:assert/strict'
import { test } from 'node:test'

import { verdictsOf } from './verdicts.ts'

test('a verdict is told with the score of each test, the heaviest first, and what authentication found', () => {
  const [verdict, other, ...more] = verdictsOf([
    { at: 1, event: 'received' },
    {
      at: 2,
      event: 'filtered',
      verdict: 'quarantine',
      score: 12.4,
      reason: 'spam score 12.4 of 10',
      symbols: ['DKIM_VALID -0.1', 'URIBL 5 links to bad.example\nx', 'GTUBE 7.5', 'odd', 'NAN x'],
      authentication: 'spf=fail smtp.mailfrom=a.test; dkim=pass header.d=a.test (2048 bits); dmarc=none; odd',
    },
    { at: 3, event: 'filtered', symbols: [7] },
  ])
  assert.deepEqual(more, [])
  assert.deepEqual(verdict, {
    at: 2,
    verdict: 'quarantine',
    score: 12.4,
    reason: 'spam score 12.4 of 10',
    tests: [
      { name: 'GTUBE', score: 7.5, text: '' },
      { name: 'URIBL', score: 5, text: 'links to bad.example\nx' },
      { name: 'DKIM_VALID', score: -0.1, text: '' },
      { name: 'odd', score: 0, text: '' },
      { name: 'NAN x', score: 0, text: '' },
    ],
    authentication: [
      { method: 'spf', result: 'fail', detail: 'smtp.mailfrom=a.test' },
      { method: 'dkim', result: 'pass', detail: 'header.d=a.test (2048 bits)' },
      { method: 'dmarc', result: 'none', detail: '' },
    ],
  })
  assert.deepEqual(other, { at: 3, verdict: '?', tests: [], authentication: [] })
})
