import assert from 'node:assert/strict'
import { mkdtemp, readFile, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import type { JournalEntry } from './journal.ts'
import { silentLog } from './log.ts'
import { openSessionLog } from './session-log.ts'
import type { SessionLogOptions } from './session-log.ts'

async function open(t: TestContext, options: Partial<SessionLogOptions> = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-sessions-'))
  t.after(() => rm(folder, { recursive: true }))
  const begin = () => openSessionLog({ folder, writer: 'test', clock: { now: Date.now }, log: silentLog(), ...options })
  const lines = async (): Promise<readonly JournalEntry[]> => {
    const files = await Promise.all((await readdir(folder)).map((name) => readFile(join(folder, name), 'utf8')))
    return files
      .flatMap((text) => text.split('\n').filter((line) => line !== ''))
      .map((line) => JSON.parse(line) as JournalEntry)
  }
  return { folder, begin, lines }
}

const refused = (address: string, session = 's'): JournalEntry => ({
  at: 1,
  event: 'rejected',
  stage: 'connect',
  session,
  address,
  reply: '550 5.7.1 No',
})

test('of what comes again and again from a network the first are written, of the others their number', async (t) => {
  const { begin, lines } = await open(t)
  const log = await begin()
  for (let number = 0; number < 1_000; number += 1) log.append(refused(`192.0.2.${number % 250}`, `s${number}`))
  log.append(refused('198.51.100.7'))
  log.append({ at: 2, event: 'auth failed', address: '192.0.2.1', user: 'jane' })
  await log.close()
  const told = await lines()
  assert.deepEqual(
    told.map(({ event, address, session, more }) => [event, address, session, more]),
    [
      ...[0, 1, 2, 3, 4].map((n) => ['rejected', `192.0.2.${n}`, `s${n}`, undefined]),
      ['rejected', '198.51.100.7', 's', undefined],
      ['auth failed', '192.0.2.1', undefined, undefined],
      ['rejected', '192.0.2.0/24', undefined, 995],
    ],
  )
})

test('an attack from everywhere costs some hundred lines, and the sum is right', async (t) => {
  const { begin, lines } = await open(t)
  const log = await begin()
  for (let number = 0; number < 20_000; number += 1)
    log.append(refused(`${number % 200}.${Math.floor(number / 200) % 200}.${number % 7}.9`))
  await log.close()
  const told = await lines()
  assert.ok(told.length < 1_500, String(told.length))
  const sum = told.reduce((all, { more }) => all + (typeof more === 'number' ? more : 1), 0)
  assert.equal(sum, 20_000)
})

test('two files are written by turns, so that the disk does not fill; what nobody reads any more goes', async (t) => {
  const { begin, lines, folder } = await open(t, { fileBytes: 2_000 })
  for (const name of ['old-1-0.ndjson', 'old-1-1.ndjson']) {
    await writeFile(join(folder, name), '{"at":1,"event":"banned"}\n')
    await utimes(join(folder, name), 1, 1)
  }
  const log = await begin()
  for (let number = 0; number < 200; number += 1) {
    log.append(refused(`${number}.0.2.1`))
    await log.flush()
  }
  await log.close()
  const names = await readdir(folder)
  assert.deepEqual(names.toSorted(), [`test-${process.pid}-0.ndjson`, `test-${process.pid}-1.ndjson`])
  const told = await lines()
  assert.ok(told.length > 10 && told.length < 60, String(told.length))
  assert.ok(told.some(({ address }) => address === '199.0.2.1'))
})
