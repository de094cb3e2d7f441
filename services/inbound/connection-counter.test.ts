import assert from 'node:assert/strict'
import { test } from 'node:test'

import { clientOf, networkOf } from '../../shared/client-of.ts'
import { ConnectionCounter } from './connection-counter.ts'

test('one client cannot take all connections', () => {
  const counter = new ConnectionCounter({ total: 3, perClient: 2 })
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

test('a network has a share of its own, and who is exempt only counts into the total', () => {
  const isExempt = (address: string): boolean => address === '192.0.2.200'
  const counter = new ConnectionCounter({ total: 5, perClient: 2, perNetwork: 3, isExempt })
  for (const last of [1, 2, 3]) assert.equal(typeof counter.take(`192.0.2.${last}`), 'function')
  assert.equal(counter.take('192.0.2.4'), 'network full')
  assert.equal(typeof counter.take('192.0.2.200'), 'function')
  assert.equal(typeof counter.take('198.51.100.1'), 'function')
  assert.equal(counter.take('192.0.2.200'), 'server full')
  assert.equal(counter.open, 5)
})

test('a network is a /24 or an IPv6 /48', () => {
  assert.equal(networkOf('192.0.2.1'), networkOf('::ffff:192.0.2.255'))
  assert.notEqual(networkOf('192.0.2.1'), networkOf('192.0.3.1'))
  assert.equal(networkOf('2001:db8:1:2::1'), networkOf('2001:db8:1:3::1'))
  assert.notEqual(networkOf('2001:db8:1::1'), networkOf('2001:db8:2::1'))
})
