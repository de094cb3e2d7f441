import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'

import { SmtpClient } from '../../test/support/smtp-client.ts'
import { within } from '../../test/support/until.ts'
import { credentials, testPipeline } from './testing.ts'
import type { TestInbound } from './testing.ts'
import { start } from './testing-session.ts'

const mail = 'EHLO x\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<jane@example.org>\r\n'
const clientHello = Buffer.from('160301020001000100', 'hex')
const forever = 120_000

/** What a client has said, and heard, when it resets its connection. */
const states: readonly (readonly [said: string, heard: string])[] = [
  ['', ''],
  ['EHLO x\r\n', ''],
  ['EHLO x\r\n', 'PIPELINING'],
  ['EHLO x\r\nNOO', 'PIPELINING'],
  [mail, '250 2.1.5'],
  [`${mail}DATA\r\n`, '354 '],
  [`${mail}BDAT 100\r\nabc`, '250 2.1.5'],
  [`${mail}BDAT 3\r\nabcBDAT 100\r\nabc`, '3 octets'],
  ['EHLO x\r\nBDAT 100\r\nabc', 'PIPELINING'],
  ['EHLO x\r\nAUTH LOGIN\r\n', '334 '],
  ['EHLO x\r\nSTARTTLS\r\n', 'Ready to start TLS'],
  ['QUIT\r\n', '221 '],
  ['NOOP\r\n'.repeat(500), '250 2.0.0'],
]

test('a client may reset its connection wherever it stands: its place is free again, and nothing it began stays', async (t) => {
  const inbound = await start(t, {
    listener: { tls: 'offered', pkis: ['server'], auth: { kind: 'optional', table: credentials } },
    configuration: { pipeline: { ...testPipeline, auth: { mechanisms: ['LOGIN'], withoutTls: true } } },
    limits: { connectionsPerAddress: 1 },
  })
  for (const [said, heard] of states) {
    const socket = await connected(inbound)
    await speak(socket, said, heard)
    socket.resetAndDestroy()
    await findsRoom(inbound)
  }
  assert.deepEqual(inbound.accepted, [])
})

test('resets in the middle of TLS handshakes and right behind them, many at a time, harm nobody else', async (t) => {
  for (const tls of ['offered', 'implicit'] as const) {
    const inbound = await start(t, { listener: { tls, pkis: ['server'] } })
    await Promise.all(Array.from({ length: 40 }, (_, index) => breakHandshake(inbound, tls, index % 4 === 0)))
    await findsRoom(inbound, tls === 'implicit')
  }
})

async function breakHandshake(inbound: TestInbound, tls: 'offered' | 'implicit', half: boolean): Promise<void> {
  const socket = await connected(inbound)
  if (tls === 'offered') await speak(socket, 'STARTTLS\r\n', 'Ready to start TLS')
  socket.removeAllListeners('data')
  if (half) {
    await new Promise((resolve) => socket.write(clientHello, resolve))
  } else {
    const secured = connectTls({ socket, rejectUnauthorized: false }).on('error', () => undefined)
    await within(forever, 'the handshake', once(secured, 'secureConnect'))
  }
  socket.resetAndDestroy()
}

async function connected({ port }: TestInbound): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1' }).on('error', () => undefined)
  await within(forever, 'a connection', once(socket, 'connect'))
  return socket
}

/** Says it behind the greeting and waits for what is to be heard; waits for nothing when that is nothing. */
async function speak(socket: Socket, said: string, heard: string): Promise<void> {
  if (heard === '') return void socket.write(said)
  let text = ''
  const all = new Promise<void>((resolve) => {
    socket.on('data', (chunk: Buffer) => {
      if (text === '') socket.write(said)
      text += chunk.toString()
      if (text.includes(heard)) resolve()
    })
  })
  await within(forever, () => `${heard} behind ${said}; got ${text}`, all)
}

/** Another client gets the place of the one that has gone. */
async function findsRoom(inbound: TestInbound, implicitTls = false): Promise<void> {
  for (;;) {
    const client = await SmtpClient.ready({ port: inbound.port, implicitTls }).catch(() => undefined)
    if (client !== undefined) {
      const left = inbound.nextEvent('disconnected')
      await client.quit()
      return left
    }
    await nextTurn()
  }
}
