import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ConnectionCounter, clientOf } from './connection-counter.ts'

test('one client cannot take all connections', () => {
  const counter = new ConnectionCounter(3, 2)
  const first = counter.take('192.0.2.1')
  assert.equal(typeof first, 'function')
  counter.take('192.0.2.1')
  assert.equal(counter.take('192.0.2.1'), 'client full')
  counter.take('192.0.2.2')
  assert.equal(counter.take('192.0.2.3'), 'server full')
  if (typeof first === 'function') {
    first()
    first()
  }
  assert.equal(typeof counter.take('192.0.2.1'), 'function')
  assert.equal(counter.take('192.0.2.3'), 'server full')
})

test('all addresses of an IPv6 /64 are one client', () => {
  assert.equal(clientOf('2001:db8::1'), clientOf('2001:db8:0:0:ffff::2'))
  assert.notEqual(clientOf('2001:db8::1'), clientOf('2001:db8:0:1::1'))
  assert.equal(clientOf('::ffff:192.0.2.1'), '192.0.2.1')
  assert.equal(clientOf('fe80::1%eth0'), clientOf('fe80::2'))
})
