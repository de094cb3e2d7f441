import assert from 'node:assert/strict'
import { Socket } from 'node:net'
import { test } from 'node:test'
import { TLSSocket } from 'node:tls'

import { negotiatedTls } from './negotiated-tls.ts'

test('a connection that was reset right behind its handshake makes nobody stumble', () => {
  const socket = new TLSSocket(new Socket()).on('error', () => undefined)
  socket.destroy()
  assert.deepEqual(negotiatedTls(socket), { version: 'TLS', cipher: 'unknown' })
})
