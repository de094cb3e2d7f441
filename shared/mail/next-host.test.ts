import assert from 'node:assert/strict'
import { test } from 'node:test'

import { nextHost } from './next-host.ts'

test('a destination is known by its domain, or by the host of its relay URL', () => {
  for (const [destination, host] of [
    ['Far.test', 'far.test'],
    ['smtp://Mx.far.test:25', 'mx.far.test'],
    ['smtps://label@mx.far.test', 'mx.far.test'],
    ['smtp://[2001:DB8::1]:25', '[2001:db8::1]'],
    ['', ''],
  ] as const)
    assert.equal(nextHost(destination), host)
})
