import assert from 'node:assert/strict'
import { appendFile, mkdtemp, rm } from 'node:fs/promises'
import { EventEmitter, once } from 'node:events'
import { get } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { openEventTail } from '../../shared/event-tail.ts'
import { createEventStream } from './event-stream.ts'
import { createLiveTicks } from './live-ticks.ts'
import { sampleAt, sampleSource } from './sample-source.ts'
import { openTestApp } from './testing.ts'

async function open(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-stream-'))
  t.after(() => rm(folder, { recursive: true }))
  const tail = openEventTail([folder], () => Date.now())
  const write = (...entries: readonly object[]) =>
    appendFile(join(folder, 'x.ndjson'), entries.map((one) => `${JSON.stringify({ at: sampleAt, ...one })}\n`).join(''))
  const source = {
    ...sampleSource({ eventTail: tail }),
    events: async (limit: number) => ({ at: sampleAt, ...(await tail.latest(limit)) }),
  }
  const { app } = await openTestApp(t, { source })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const address = app.server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const place = async (): Promise<string> => {
    const { body } = await app.inject({ url: '/events', headers: { host: 'localhost' } })
    return /data-after="([^"]+)"/.exec(body)?.[1] ?? assert.fail(body)
  }
  const follow = async (query: string, headers: Readonly<Record<string, string>> = {}) => {
    const request = get({
      host: '127.0.0.1',
      port,
      path: `/events/stream?${query}`,
      headers: { host: 'localhost', ...headers },
    })
    t.after(() => request.destroy())
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    let text = ''
    response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
    const until = async (pattern: RegExp): Promise<string> => {
      while (!pattern.test(text)) await once(response, 'data')
      return text
    }
    return { response, until }
  }
  return { write, follow, place, app }
}

test('rows come as things happen, from the place of the page on, filtered as it is', async (t) => {
  const { write, follow, place } = await open(t)
  await write({ event: 'relayed', recipient: 'before@example.net' })
  const after = await place()
  await write({ event: 'relayed', recipient: 'joe@example.net', stage: 'relay' })
  const all = await follow(`after=${after}`)
  const some = await follow(`event=failed&word=JIM&after=${after}`)
  await write(
    { event: 'failed', recipient: 'ann@example.net' },
    { event: 'failed', recipient: 'jim@example.net', reply: '550 <b>no</b>\nmore' },
  )
  const text = await all.until(/jim@/)
  assert.match(text, /^id: [0-9a-f]+\.\d+\nevent: row\ndata: <tr>.*joe@example\.net.*<\/tr>\n\n/m)
  assert.match(text, /550 &lt;b&gt;no&lt;\/b&gt; more/)
  assert.doesNotMatch(text, /before@/)
  const found = await some.until(/jim@/)
  assert.doesNotMatch(found, /joe@|ann@/)
  assert.match(String(all.response.headers['content-security-policy']), /default-src/)
})

test('who comes again goes on where he was, and hears of what is kept no more', async (t) => {
  const { write, follow, place } = await open(t)
  const after = await place()
  await write({ event: 'relayed', recipient: 'one@example.net' })
  const first = await (await follow(`after=${after}`)).until(/one@/)
  const id = /^id: (\S+)$/m.exec(first)?.[1] ?? assert.fail(first)
  await write({ event: 'relayed', recipient: 'two@example.net' })
  const second = await (await follow(`after=${after}`, { 'last-event-id': id })).until(/two@/)
  assert.doesNotMatch(second, /one@/)
  await write(
    ...Array.from({ length: 2_500 }, (_none, number) => ({ event: 'relayed', recipient: `n${number}@example.net` })),
  )
  const third = await (await follow('', { 'last-event-id': id })).until(/n2499@/)
  assert.match(third, /event: missed\ndata: \d+\n/)
  assert.equal([...third.matchAll(/event: row/g)].length, 2_000)
})

test('closing the dashboard ends the streams', async (t) => {
  const { follow, app } = await open(t)
  const { response } = await follow('')
  response.resume()
  const ended = once(response, 'close')
  await app.close()
  await ended
})

/** Of a client that takes nothing: what is written stays, and it never comes to the end. */
function unread(): ServerResponse {
  const response = Object.assign(new EventEmitter(), {
    writableNeedDrain: true,
    write: () => false,
    end: () => undefined,
    destroy: () => response.emit('close'),
  })
  return response as unknown as ServerResponse
}

test('a client that never reads keeps nobody out', { timeout: 120_000 }, async (t) => {
  const tail = { after: async () => ({ events: [], number: 0, missed: 0 }) }
  const [stream, ticks] = [createEventStream(tail, { mostMs: 1 }), createLiveTicks(1)]
  // Their own timers keep no process.
  const alive = setInterval(() => undefined, 1_000)
  t.after(() => {
    clearInterval(alive)
    stream.close()
    ticks.close()
  })
  for (const add of [(one: ServerResponse) => stream.add(one, { words: [] }, undefined), ticks.add]) {
    const responses = Array.from({ length: 64 }, unread)
    const closed = Promise.all(responses.map((one) => once(one, 'close')))
    assert.ok(responses.every((one) => add(one)))
    assert.equal(add(unread()), false)
    await closed
    assert.equal(add(unread()), true)
  }
})

test('a look at the head of a stream takes no place in it', async (t) => {
  const { app } = await openTestApp(t)
  for (const url of ['/live', '/events/stream'])
    assert.equal((await app.inject({ method: 'HEAD', url, headers: { host: 'localhost' } })).statusCode, 404)
})
