import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { silentLog } from '../log.ts'
import type { DeliveryAttempt } from '../mail/disposition.ts'
import { openDestinationBook } from './book.ts'
import type { DestinationBook } from './book.ts'
import { destinationsFolder, hourMs } from './known.ts'
import { readDestinationBook, totalOf } from './read-book.ts'

const noon = Date.parse('2026-11-21T12:00:00Z')

async function bench(t: TestContext) {
  const dataFolder = await mkdtemp(join(tmpdir(), 'sluice-destinations-'))
  t.after(() => rm(dataFolder, { recursive: true }))
  const time = { now: noon }
  const open = (): DestinationBook => {
    // A process has one; the time of its begin tells two of a test apart.
    time.now += 1
    return openDestinationBook({ dataFolder, clock: { now: () => time.now }, log: silentLog() })
  }
  return { dataFolder, time, open, read: () => readDestinationBook(dataFolder, time.now) }
}

function attempt(code: number, text: string, more: Partial<DeliveryAttempt> = {}): DeliveryAttempt {
  const enhanced = `${String(code)[0]}.0.0` as `${number}.${number}.${number}`
  return {
    recipient: 0,
    reply: { code, enhanced, text },
    reached: 'remote',
    remoteMta: 'mx.a.test[192.0.2.1]:25',
    ...more,
  }
}

test('what several processes saw of a destination adds up by the hour, and the latest of each kind is kept', async (t) => {
  const { open, read, time } = await bench(t)
  const [one, other] = [open(), open()]
  const dane = { session: 'TLSv1.3 X', trust: 'dane' } as const
  one.note('a.test', [attempt(250, 'ok', { tls: dane }), attempt(550, 'User unknown'), attempt(451, 'Greylisted')])
  time.now += hourMs
  other.note('a.test', [attempt(550, 'No such user here')])
  other.notePolicy('a.test', 'dane')
  await Promise.all([one.close(), other.close()])
  const found = (await read()).get('a.test')
  assert.deepEqual(
    found?.hours.map(({ sent, later, refused }) => [sent, later, refused]),
    [
      [1, 1, 1],
      [0, 0, 1],
    ],
  )
  assert.deepEqual(totalOf(found ?? { hours: [] }), { sent: 1, later: 1, refused: 2 })
  assert.deepEqual(
    found?.refusals.map(({ replyClass, times, reply, host }) => [replyClass, times, reply, host]),
    [
      ['unknown-user', 2, '550 5.0.0 No such user here', 'mx.a.test[192.0.2.1]:25'],
      ['greylisted', 1, '451 4.0.0 Greylisted', 'mx.a.test[192.0.2.1]:25'],
    ],
  )
  assert.deepEqual([found?.tls?.session, found?.policy?.type, found?.lastAt], [undefined, 'dane', time.now])
})

test('a policy that was not met says why, until it is met again', async (t) => {
  const { open, read } = await bench(t)
  const book = open()
  book.notePolicy('b.test', 'mta-sts', 'it has expired')
  await book.close()
  assert.equal((await read()).get('b.test')?.policy?.failure, 'it has expired')
  const again = open()
  again.notePolicy('b.test', 'mta-sts')
  await again.close()
  assert.equal((await read()).get('b.test')?.policy?.failure, undefined)
})

test('after a day it is forgotten, also by the process that goes on', async (t) => {
  const { open, read, time, dataFolder } = await bench(t)
  const book = open()
  book.note('a.test', [attempt(250, 'ok')])
  time.now += 25 * hourMs
  book.note('c.test', [attempt(250, 'ok')])
  await book.close()
  assert.deepEqual([...(await read()).keys()], ['c.test'])
  const folder = destinationsFolder(dataFolder)
  const [file = ''] = await readdir(folder)
  await utimes(join(folder, file), 0, (time.now - 25 * hourMs) / 1000)
  await open().close()
  assert.deepEqual(await readdir(folder), [])
})

test('of very many destinations those that mail went to last are kept', async (t) => {
  const { open, read } = await bench(t)
  const book = open()
  for (let number = 0; number < 1_100; number++) book.note(`d${number}.test`, [attempt(250, 'ok')])
  book.note('d100.test', [attempt(250, 'ok')])
  book.note('last.test', [attempt(250, 'ok')])
  await book.close()
  const names = [...(await read()).keys()]
  assert.equal(names.length, 1_000)
  assert.deepEqual([names.includes('d100.test'), names.includes('d101.test')], [true, false])
})

test('a torn file, or one of another version, hides nothing of the others', async (t) => {
  const { open, read, dataFolder } = await bench(t)
  const book = open()
  book.note('a.test', [attempt(250, 'ok')])
  await book.close()
  await writeFile(join(destinationsFolder(dataFolder), 'torn.json'), '[{"name":"x')
  await writeFile(join(destinationsFolder(dataFolder), 'other.json'), '{"version":9}')
  assert.deepEqual([...(await read()).keys()], ['a.test'])
})
