import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { openHttpTable } from './http-table.ts'
import type { HttpTableOptions } from './http-table.ts'

async function serving(
  t: TestContext,
  answer: (request: IncomingMessage, response: ServerResponse) => void,
  path = '/users/%t/%s',
  options: Partial<HttpTableOptions> = {},
) {
  const server = createServer(answer)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const table = openHttpTable({ url: `http://127.0.0.1:${port}${path}`, timeoutMs: 60_000, ...options })
  t.after(async () => {
    await table.close()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return { table, server }
}

const text = (body: string) => (_request: IncomingMessage, response: ServerResponse) => void response.end(body)
const json = (body: unknown) => (_request: IncomingMessage, response: ServerResponse) => {
  response.setHeader('content-type', 'application/json; charset=utf-8')
  response.end(typeof body === 'string' ? body : JSON.stringify(body))
}

test('the key is put into the address, and the answer is its value', async (t) => {
  const asked: (string | undefined)[] = []
  const { table } = await serving(
    t,
    (request, response) => {
      asked.push(request.url, request.headers.authorization)
      response.end('ann@example.org\r\n\neve\n')
    },
    '/users/%t/%s',
    { headers: { authorization: 'Bearer secret' } },
  )
  assert.deepEqual(await table.lookup('alias', 'joe/../x?@a.org'), { value: 'ann@example.org, eve' })
  assert.deepEqual(asked, ['/users/alias/joe%2F..%2Fx%3F%40a.org', 'Bearer secret'])
})

test('without a place for it, the key is a parameter', async (t) => {
  const asked: (string | undefined)[] = []
  const { table } = await serving(
    t,
    (request, response) => {
      asked.push(request.url)
      response.statusCode = 404
      response.end()
    },
    '/lookup?list=1',
  )
  assert.deepEqual(await table.check('domain', 'a&b'), { value: undefined })
  assert.deepEqual(asked, ['/lookup?list=1&type=domain&key=a%26b'])
})

test('JSON is understood', async (t) => {
  let body: unknown
  const { table } = await serving(t, (request, response) => json(body)(request, response))
  const cases: readonly (readonly [unknown, string | undefined])[] = [
    ['"ann"', 'ann'],
    [{ value: ['ann', 'eve'], other: 1 }, 'ann, eve'],
    [{ value: null }, undefined],
    ['null', undefined],
    ['false', undefined],
    ['true', ''],
    [[], undefined],
    [42, '42'],
  ]
  for (const [given, value] of cases) {
    body = given
    assert.deepEqual(await table.lookup('alias', 'joe'), { value }, JSON.stringify(given))
  }
  for (const given of ['{', { name: 'x' }, [['x']]]) {
    body = given
    await assert.rejects(table.lookup('alias', 'joe'))
  }
})

test('every other answer, and one that is too long, are failures', async (t) => {
  const { table } = await serving(t, (request, response) => {
    const [, status = ''] = /(\d+)$/.exec(request.url ?? '') ?? []
    response.writeHead(Number(status), { location: '/users/alias/200' })
    response.end(status === '200' ? 'x'.repeat(200_000) : '')
  })
  for (const status of ['204', '302', '401', '500', '503'])
    await assert.rejects(table.lookup('alias', status), new RegExp(`it answered ${status}`))
  await assert.rejects(table.lookup('alias', '200'), /too long/)
})

test('a server that does not answer, or not to the end, is a failure', async (t) => {
  const halfway = (request: IncomingMessage, response: ServerResponse) => {
    if (request.url?.endsWith('b') === true) response.write('begun')
  }
  const { table } = await serving(t, halfway, '/%s', { timeoutMs: 200 })
  await assert.rejects(table.lookup('alias', 'a'), /did not answer in time/)
  await assert.rejects(table.lookup('alias', 'b'), /did not answer in time/)
})

test('connections are kept, and one that the server closed is no failure', async (t) => {
  const { table, server } = await serving(t, text('x'))
  let connections = 0
  server.on('connection', () => (connections += 1))
  for (const key of ['a', 'b', 'c']) assert.deepEqual(await table.lookup('alias', key), { value: 'x' })
  assert.equal(connections, 1)
  server.closeAllConnections()
  assert.deepEqual(await table.lookup('alias', 'd'), { value: 'x' })
})

test('a server that is away is a failure', async (t) => {
  const { table, server } = await serving(t, text('x'))
  await new Promise((resolve) => server.close(resolve))
  await assert.rejects(table.lookup('alias', 'a'), /ECONNREFUSED/)
})
