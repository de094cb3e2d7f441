import assert from 'node:assert/strict'
import { appendFile, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { deliveredStory, testId } from '../../shared/store/testing.ts'
import { runControl } from './run.ts'
import { runTrimmed } from './testing.ts'
import type { Terminal } from './terminal.ts'

test('events of messages and sessions are told, filtered, and followed until it is stopped', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-events-'))
  t.after(() => rm(folder, { recursive: true }))
  for (const one of ['events', 'sessions']) await mkdir(join(folder, one))
  const write = (place: string, ...entries: readonly object[]): Promise<void> =>
    appendFile(join(folder, place, 'x.ndjson'), entries.map((entry) => `${JSON.stringify(entry)}\n`).join(''))
  const id = testId()
  const at = Date.UTC(2026, 10, 21, 11)
  await write('events', ...deliveredStory(id))
  await write('sessions', {
    at,
    event: 'auth failed',
    user: 'jane',
    reply: '535 5.7.8 No',
    address: '192.0.2.0/24',
    more: 7,
  })

  const all = await runTrimmed(['events', '-d', folder], {})
  assert.equal(all.out.split('\n').length, 6)
  const login = await runTrimmed(['events', '--event', 'auth failed', '-d', folder], {})
  assert.match(
    login.out,
    /^2026-11-21 11:00:00.*  -  auth failed  login failed for jane: 535 5\.7\.8 No, client 192\.0\.2\.0\/24; 7 more like it$/,
  )
  const found = await runTrimmed(['events', id, '--json', '--limit', '1', '-d', folder], {})
  assert.deepEqual((JSON.parse(found.out) as { event: string }).event, 'delivered')

  const told: string[] = []
  let hear: () => void = () => undefined
  const heard = new Promise<void>((resolve) => (hear = resolve))
  const terminal: Terminal = {
    print: (line) => {
      told.push(line)
      if (line.includes('banned')) hear()
    },
    warn: assert.fail,
    write: async () => undefined,
    paint: (_colour, text) => text,
    askSecret: async () => undefined,
    isWatched: false,
    confirm: async () => false,
  }
  const before = process.listenerCount('SIGINT')
  const following = runControl(['events', '--follow', '--limit', '0', '-d', folder], { terminal, environment: {} })
  while (process.listenerCount('SIGINT') === before) await new Promise((resolve) => setImmediate(resolve))
  await write('sessions', { at, event: 'banned', client: '192.0.2.1', offence: 'auth', rule: 'pipeline.conf:3' })
  await heard
  process.emit('SIGINT')
  assert.equal(await following, 0)
  assert.match(told.at(-1) ?? '', /banned  192\.0\.2\.1 is kept out for auth \(pipeline\.conf:3\)$/)
})
