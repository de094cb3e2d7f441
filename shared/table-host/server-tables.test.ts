import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { openDovecotUsers } from './dovecot-users.ts'
import { openSocketmap } from './socketmap.ts'
import { openTcpTable } from './tcp-table.ts'
import { startTestingServer } from './testing-server.ts'

const timeoutMs = 60_000

/** Answers each line that came whole. */
function byLine(answer: (line: string, socket: Socket) => void): (socket: Socket, said: Buffer) => void {
  const begun = new WeakMap<Socket, string>()
  return (socket, said) => {
    const lines = `${begun.get(socket) ?? ''}${said.toString('utf8')}`.split('\n')
    begun.set(socket, lines.pop() ?? '')
    for (const line of lines) answer(line, socket)
  }
}

async function tcpTable(t: TestContext, answers: Readonly<Record<string, string>>, limitMs = timeoutMs) {
  const asked: string[] = []
  const server = await startTestingServer(
    t,
    byLine((line, socket) => {
      asked.push(line)
      const answer = answers[line] ?? '500 not here'
      if (answer !== 'silence') socket.write(`${answer}\n`)
    }),
  )
  const table = openTcpTable({ place: server.place, timeoutMs: limitMs })
  t.after(() => table.close())
  return { table, server, asked }
}

test('tcp: a key has its value, or is not there; both are encoded', async (t) => {
  const { table, asked } = await tcpTable(t, {
    'get joe@example.org': '200 ann%20doe,%20eve',
    'get j%C3%B6%20%25': '200 x',
  })
  assert.deepEqual(await table.lookup('alias', 'joe@example.org'), { value: 'ann doe, eve' })
  assert.deepEqual(await table.lookup('alias', 'jö %'), { value: 'x' })
  assert.deepEqual(await table.check('domain', 'nobody'), { value: undefined })
  assert.deepEqual(await table.lookup('alias', ''), { value: undefined })
  assert.deepEqual(asked, ['get joe@example.org', 'get j%C3%B6%20%25', 'get nobody'])
  await assert.rejects(table.fetch('source'), /no list of its entries/)
})

test('tcp: "not now" and nonsense are failures', async (t) => {
  const { table } = await tcpTable(t, { 'get a': '400 database%20away', 'get b': 'hello' })
  await assert.rejects(table.lookup('alias', 'a'), /database away/)
  await assert.rejects(table.lookup('alias', 'b'), /it answered hello/)
})

test('tcp: a server that is silent is a failure, and so is waiting for a connection it holds', async (t) => {
  const { table } = await tcpTable(t, { 'get c': 'silence' }, 200)
  const all = await Promise.allSettled(Array.from({ length: 20 }, () => table.lookup('alias', 'c')))
  assert.ok(all.every(({ status }) => status === 'rejected'))
  await assert.rejects(table.lookup('alias', 'c'), /did not answer in time/)
})

test('tcp: many questions share a few connections, one question at a time on each', async (t) => {
  const { table, server } = await tcpTable(t, {})
  const keys = Array.from({ length: 100 }, (_, index) => `key${index}`)
  const values = await Promise.all(keys.map((key) => table.lookup('alias', key)))
  assert.ok(values.every(({ value }) => value === undefined))
  assert.equal(server.count(), 8)
})

test('tcp: a server that hung up between two questions is asked on a new connection', async (t) => {
  const { table, server } = await tcpTable(t, { 'get a': '200 b' })
  assert.deepEqual(await table.lookup('alias', 'a'), { value: 'b' })
  await server.hangUp()
  assert.deepEqual(await table.lookup('alias', 'a'), { value: 'b' })
  assert.equal(server.count(), 2)
})

test('tcp: a server that is away is a failure, never "not found"', async (t) => {
  const { table, server } = await tcpTable(t, {})
  await server.close()
  await assert.rejects(table.lookup('alias', 'a'), /ECONNREFUSED/)
})

test('tcp: closing the table ends its questions', async (t) => {
  const { table } = await tcpTable(t, { 'get a': 'silence' })
  const asked = assert.rejects(table.lookup('alias', 'a'))
  await table.close()
  await asked
  await assert.rejects(table.lookup('alias', 'b'), /closed/)
})

test('socketmap: answers come as netstrings, in pieces or not', async (t) => {
  const server = await startTestingServer(t, (socket, said) => {
    const answer: Readonly<Record<string, readonly string[]>> = {
      '14:virt joe@a.org,': ['1', '0:OK ann', ' jö,'],
      '9:virt temp,': ['11:TEMP ouch..,'],
      '9:virt none,': ['9:NOTFOUND ,'],
    }
    const pieces = answer[said.toString('utf8')] ?? ['nonsense']
    const [first = '', ...more] = pieces
    socket.write(first)
    for (const piece of more) setImmediate(() => socket.write(piece))
  })
  const table = openSocketmap({ place: server.place, map: 'virt', timeoutMs })
  t.after(() => table.close())
  assert.deepEqual(await table.lookup('alias', 'joe@a.org'), { value: 'ann jö' })
  assert.deepEqual(await table.lookup('alias', 'none'), { value: undefined })
  await assert.rejects(table.lookup('alias', 'temp'), /TEMP ouch/)
  await assert.rejects(table.lookup('alias', 'other'), /no netstring/)
})

test('dovecot: a user is known with uid, gid and home; one it cannot tell of is a failure', async (t) => {
  const replies: Readonly<Record<string, string>> = {
    'USER\t1\tjoe\tservice=smtp': 'USER\t1\tjoe\tuid=1000\tgid=100\thome=/home/joe=x\tquota_rule=*:storage=1G',
    'USER\t1\tann\tservice=smtp': 'USER\t1\tann',
    'USER\t1\teve\tservice=smtp': 'FAIL\t1\treason=Internal error',
  }
  const server = await startTestingServer(
    t,
    byLine((line, socket) => {
      if (line !== 'VERSION\t1\t1') socket.write(`${replies[line] ?? 'NOTFOUND\t1'}\n`)
    }),
    (socket) => socket.write('VERSION\t1\t2\nSPID\t42\n'),
  )
  const table = openDovecotUsers({ place: server.place, timeoutMs })
  t.after(() => table.close())
  assert.deepEqual(await table.lookup('userinfo', 'joe'), { value: '1000:100:/home/joe=x' })
  assert.deepEqual(await table.check('userinfo', 'ann'), { value: '' })
  assert.deepEqual(await table.check('userinfo', 'nobody'), { value: undefined })
  assert.deepEqual(await table.check('userinfo', 'a\tb'), { value: undefined })
  await assert.rejects(table.lookup('userinfo', 'eve'), /Internal error/)
})

test('dovecot: another major version is refused', async (t) => {
  const server = await startTestingServer(
    t,
    () => undefined,
    (socket) => socket.write('VERSION\t2\t0\n'),
  )
  const table = openDovecotUsers({ place: server.place, timeoutMs })
  t.after(() => table.close())
  await assert.rejects(table.lookup('userinfo', 'joe'), /another version/)
})

test('socketmap: no octets make the reader of answers throw anything but a plain error, or wait for ever', async (t) => {
  const answers = ['', ':', '1', '1:', '12345678', '0:,', '4:OK a,', '4:OK a;', '-1:x,', '999999:', '\0'.repeat(9)]
  const server = await startTestingServer(t, (socket, said) => {
    const [, index = '0'] = /key(\d+)/.exec(said.toString('utf8')) ?? []
    socket.end(answers[Number(index)] ?? '')
  })
  const table = openSocketmap({ place: server.place, map: 'm', timeoutMs })
  t.after(() => table.close())
  for (const [index, answer] of answers.entries()) {
    const asked = table.lookup('alias', `key${index}`)
    if (answer === '4:OK a,') assert.deepEqual(await asked, { value: 'a' })
    else await assert.rejects(asked, Error, answer)
  }
})
