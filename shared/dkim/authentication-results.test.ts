import assert from 'node:assert/strict'
import { test } from 'node:test'

import { methodResults } from './authentication-results.ts'

test('results are read one by one, comments and quoted strings hide nothing and add nothing', () => {
  const value =
    'mx.example 1; spf=fail smtp.mailfrom="x; arc=pass"@north.example (a (nested; arc=pass) \\) one); ARC = Fail (i=2); dkim=pass header.b=a/b'
  assert.deepEqual(methodResults(value), [
    { method: 'spf', result: 'fail', properties: 'smtp.mailfrom="x  arc=pass"@north.example' },
    { method: 'arc', result: 'fail', properties: '' },
    { method: 'dkim', result: 'pass', properties: 'header.b=a/b' },
  ])
})

test('what is no result is left out', () => {
  for (const value of ['', 'mx.example', 'mx.example; none', 'mx.example; ;', 'arc=pass', 'mx.example; =pass'])
    assert.deepEqual(methodResults(value), [], value)
})
