import assert from 'node:assert/strict'
import { after, test } from 'node:test'

import type { Mailbox } from '../mail/address.ts'
import { openConnection, plainText } from './open-connection.ts'
import { ConnectionPool, NoConnectionNow } from './pool.ts'
import type { Connect, PoolOptions } from './pool.ts'
import { polite, startServer } from './testing.ts'
import type { ScriptedServer, ScriptedSession, TakenMessage } from './testing.ts'
import type { Transaction } from './transaction.ts'

const servers: ScriptedServer[] = []
after(() => Promise.all(servers.map((server) => server.close())))

function message(name: string): Transaction {
  return {
    mail: { reversePath: 'a@b.example' as Mailbox, sizeBytes: 10, eightBit: false, smtpUtf8: false },
    recipients: [{ address: 'c@d.example' }],
    content: () => [Buffer.from(`${name}\r\n`)],
  }
}

async function setUp(
  options: Partial<PoolOptions>,
  script?: (taken: TakenMessage[]) => (session: ScriptedSession, index: number) => Promise<void>,
) {
  const taken: TakenMessage[] = []
  const server = await startServer(script?.(taken) ?? polite(taken))
  servers.push(server)
  const pool = new ConnectionPool(options)
  const connect: Connect = (signal) =>
    openConnection({
      endpoint: { kind: 'tcp', host: '127.0.0.1', port: server.port },
      protocol: 'smtp',
      helo: 'client.test',
      tls: plainText,
      signal,
    })
  const send = (name: string, signal = new AbortController().signal) => pool.send('key', connect, message(name), signal)
  return { taken, server, pool, send }
}

test('a connection is used again, up to its number of messages', async () => {
  const { taken, server, pool, send } = await setUp({ maxMessages: 3 })
  for (let count = 0; count < 7; count++) assert.equal((await send(`n${count}`)).replies[0]?.code, 250)
  assert.deepEqual(
    taken.map((one) => one.connection),
    [0, 0, 0, 1, 1, 1, 2],
  )
  await pool.close()
  await server.whenIdle()
  assert.equal(pool.size, 0)
})

test('no more connections than allowed, and those that wait are served in order', async () => {
  const { taken, server, pool, send } = await setUp({ maxPerKey: 2 })
  await Promise.all(Array.from({ length: 50 }, (_, count) => send(`n${count}`)))
  assert.equal(server.sessions.length, 2)
  for (const connection of [0, 1]) {
    const order = taken.filter((one) => one.connection === connection).map((one) => Number(one.content.slice(1)))
    assert.deepEqual(
      order,
      order.toSorted((a, b) => a - b),
    )
  }
  assert.equal(taken.length, 50)
  await pool.close()
})

test('an idle connection is closed with QUIT', async () => {
  const { server, pool, send } = await setUp({ idleMs: 5 })
  await send('one')
  assert.equal(pool.size, 1)
  await server.whenIdle()
  assert.equal(pool.size, 0)
  await pool.close()
})

test('a kept connection that the server closed is replaced without anybody noticing', async () => {
  const { taken, server, pool, send } = await setUp({}, (messages) => async (session, index) => {
    await polite(messages)(session, index)
  })
  await send('one')
  server.sessions[0]?.socket.resetAndDestroy()
  assert.equal((await send('two')).replies[0]?.code, 250)
  assert.deepEqual(
    taken.map((one) => one.content),
    ['one\r\n', 'two\r\n'],
  )
  await pool.close()
})

test('a kept connection that answers 421 is replaced', async () => {
  const { taken, pool, send } = await setUp({}, (messages) => async (session, index) => {
    if (index > 0) return polite(messages)(session, index)
    session.say('220 hi')
    await session.line()
    session.say('250-x', '250 PIPELINING')
    for (let count = 0; count < 3; count++) await session.line()
    session.say('250 ok', '250 ok', '354 go')
    await session.content()
    session.say('250 done')
    await session.line()
    session.socket.end('421 4.4.2 idle for too long\r\n')
    return undefined
  })
  await send('one')
  assert.equal((await send('two')).replies[0]?.code, 250)
  assert.equal(taken.length, 1)
  await pool.close()
})

test('a failed connect frees the place for the next in line', async () => {
  const pool = new ConnectionPool({ maxPerKey: 1 })
  let calls = 0
  const connect: Connect = async () => {
    calls += 1
    throw new Error(`no ${calls}`)
  }
  const results = await Promise.allSettled(
    [1, 2, 3].map((n) => pool.send('key', connect, message(`${n}`), new AbortController().signal)),
  )
  assert.deepEqual(
    results.map((result) => result.status === 'rejected' && (result.reason as Error).message),
    ['no 1', 'no 2', 'no 3'],
  )
  assert.equal(pool.size, 0)
  await pool.close()
})

test('a server that takes few connections gets all the mail over those it takes', async () => {
  const { taken, server, pool, send } = await setUp({}, (messages) => async (session, index) => {
    if (index < 2) return polite(messages)(session, index)
    session.say('421 4.7.0 too many connections from you')
    session.socket.end()
    return undefined
  })
  await send('first')
  const results = await Promise.all(Array.from({ length: 20 }, (_, count) => send(`n${count}`)))
  assert.ok(results.every((result) => result.replies[0]?.code === 250))
  assert.equal(taken.length, 21)
  await pool.close()
  await server.whenIdle()
  assert.equal(pool.size, 0)
})

test('who stops waiting leaves the line', async () => {
  const { taken, pool, send } = await setUp({ maxPerKey: 1 })
  const stop = new AbortController()
  const first = send('one')
  const second = send('two', stop.signal)
  const third = send('three')
  stop.abort(new Error('enough'))
  await assert.rejects(second, /enough/)
  await Promise.all([first, third])
  assert.deepEqual(
    taken.map((one) => one.content),
    ['one\r\n', 'three\r\n'],
  )
  await pool.close()
})

test('the connection that idles for longest gives way when there are too many', async () => {
  const { server, pool, send } = await setUp({ maxIdle: 1 })
  await Promise.all([send('one'), send('two')])
  assert.equal(server.sessions.length, 2)
  assert.equal(pool.size, 1)
  await pool.close()
  await server.whenIdle()
})

test('who may make no connection waits for one that is there, and is told when there is none', async () => {
  const { taken, server, pool } = await setUp({})
  let allowed = 1
  const connect: Connect = async (signal) => {
    if (allowed === 0) throw new NoConnectionNow('full', { retryInMs: 1_000 })
    allowed -= 1
    return openConnection({
      endpoint: { kind: 'tcp', host: '127.0.0.1', port: server.port },
      protocol: 'smtp',
      helo: 'client.test',
      tls: plainText,
      signal,
    })
  }
  const { signal } = new AbortController()
  const send = (key: string, name: string) => pool.send(key, connect, message(name), signal)
  const first = send('key', 'first')
  const others = Promise.all(Array.from({ length: 10 }, (_, count) => send('other', `n${count}`)))
  await assert.rejects(others, NoConnectionNow)
  await first
  allowed = 1
  await Promise.all(Array.from({ length: 10 }, (_, count) => send('third', `m${count}`).catch(() => {})))
  assert.ok(taken.length >= 2)
  assert.equal(server.sessions.length, 2)
  await pool.close()
  assert.equal(pool.size, 0)
})
