import assert from 'node:assert/strict'
import { test } from 'node:test'

import { KnownClients } from './known-clients.ts'

test('a client is known for a while, by its address or its /64', () => {
  const clients = new KnownClients(1_000)
  clients.add('2001:db8::1', 0)
  assert.equal(clients.has('2001:db8::2', 999), true)
  assert.equal(clients.has('2001:db8::2', 1_000), false)
  assert.equal(clients.has('192.0.2.1', 0), false)
})

test('an early talker is a stranger again, and the oldest are forgotten first', () => {
  const clients = new KnownClients(1_000, 2)
  for (const address of ['192.0.2.1', '192.0.2.2', '192.0.2.3']) clients.add(address, 0)
  assert.equal(clients.has('192.0.2.1', 0), false)
  clients.delete('192.0.2.2')
  assert.equal(clients.has('192.0.2.2', 0), false)
  assert.equal(clients.has('192.0.2.3', 0), true)
})
