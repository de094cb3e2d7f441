import assert from 'node:assert/strict'
import { appendFile, mkdtemp, rm, unlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { openEventTail } from './event-tail.ts'

async function journal(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-tail-'))
  t.after(() => rm(folder, { recursive: true }))
  const write = (name: string, ...entries: readonly object[]) =>
    appendFile(join(folder, `${name}.ndjson`), entries.map((entry) => `${JSON.stringify(entry)}\n`).join(''))
  return { folder, write, tail: openEventTail([folder], () => Date.now()) }
}

const at = (time: number, event: string, more: object = {}) => ({ at: time, event, ...more })

test('events of all processes come in one order, the newest first, each once', async (t) => {
  const { write, tail } = await journal(t)
  const told = async () => (await tail.latest(10)).events.map(({ event }) => event)
  assert.deepEqual(await told(), [])
  await write('inbound', at(1, 'received'), at(4, 'received again'))
  await write('relay', at(3, 'relayed'))
  assert.deepEqual(await told(), ['received again', 'relayed', 'received'])
  await write('relay', at(5, 'failed'))
  assert.deepEqual(await told(), ['failed', 'received again', 'relayed', 'received'])
  assert.deepEqual((await tail.latest(1)).events.length, 1)
})

test('a word is looked for in all that an event says, in any case', async (t) => {
  const { write, tail } = await journal(t)
  await write(
    'x',
    at(1, 'relayed', { recipient: 'Joe@example.net' }),
    at(2, 'failed', { recipient: 'jim@example.org', reply: '550 "no" \\o/' }),
  )
  assert.deepEqual(
    (await tail.latest(10, { words: ['joe@EXAMPLE'] })).events.map(({ event }) => event),
    ['relayed'],
  )
  for (const word of ['"NO"', '\\o/']) assert.equal((await tail.latest(10, { words: [word] })).events.length, 1, word)
  assert.deepEqual((await tail.latest(10, { words: ['nobody'] })).events, [])
})

test('a line that is half written is told when it is whole, and one that is torn is not', async (t) => {
  const { folder, write, tail } = await journal(t)
  await write('x', at(1, 'received'))
  await appendFile(join(folder, 'x.ndjson'), '{"at":2,"event":"rel')
  assert.equal((await tail.latest(10)).events.length, 1)
  await appendFile(join(folder, 'x.ndjson'), 'ayed"}\n{"at":3,"eve\n')
  assert.deepEqual(
    (await tail.latest(10)).events.map(({ event }) => event),
    ['relayed', 'received'],
  )
})

test('of a long journal only the end is read, from a whole line on', async (t) => {
  const { write, tail } = await journal(t)
  await write('x', ...Array.from({ length: 9_000 }, (_none, index) => at(index, 'received', { pad: 'x'.repeat(100) })))
  const { events: found } = await tail.latest(10_000)
  assert.equal(found[0]?.at, 8_999)
  assert.ok(found.length > 1_000 && found.length <= 2_000, `${found.length}`)
})

test('a file that is removed is no error', async (t) => {
  const { folder, write, tail } = await journal(t)
  await write('x', at(1, 'received'))
  await tail.latest(10)
  await unlink(join(folder, 'x.ndjson'))
  assert.equal((await tail.latest(10)).events.length, 1)
})
