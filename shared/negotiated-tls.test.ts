import assert from 'node:assert/strict'
import { Socket } from 'node:net'
import { test } from 'node:test'
import { TLSSocket } from 'node:tls'

import { negotiatedTls } from './negotiated-tls.ts'

test('of a connection that was reset behind its handshake nothing is known, and nobody falls over it', () => {
  const socket = new TLSSocket(new Socket())
  socket.destroy()
  assert.deepEqual(negotiatedTls(socket), { version: 'TLS', cipher: 'unknown' })
})
