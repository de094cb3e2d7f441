import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { test } from 'node:test'

import { openJournal } from './journal.ts'
import { openSessionLog } from './session-log.ts'

test('a journal and a session log that cannot be written are told once, and what it cost when they can', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-lines-'))
  t.after(() => rm(folder, { recursive: true }))
  const told: string[] = []
  const log = {
    warn: ({ err, file }: { readonly err: NodeJS.ErrnoException; readonly file: string }, text: string) =>
      void told.push(`${err.code} ${basename(dirname(file))}: ${text}`),
    info: ({ lost }: { readonly lost: number }, text: string) => void told.push(`${lost} ${text}`),
  }
  const places = { events: join(folder, 'events'), sessions: join(folder, 'sessions') }
  const kept = [
    await openJournal(places.events, 'test', 1, log),
    await openSessionLog({ folder: places.sessions, writer: 'test', clock: { now: Date.now }, log }),
  ]
  const append = async (address: string): Promise<void> => {
    for (const one of kept) one.append({ at: 1, event: 'rejected', address })
    await Promise.all(kept.map((one) => one.flush()))
  }
  await Promise.all(Object.values(places).map((place) => rm(place, { recursive: true })))
  await append('192.0.2.1')
  await append('198.51.100.1')
  await Promise.all(Object.values(places).map((place) => mkdir(place)))
  await append('203.0.113.1')
  await Promise.all(kept.map((one) => one.close()))
  assert.deepEqual(told.toSorted(), [
    '2 the journal is written again',
    '2 what happens in sessions is written again',
    'ENOENT events: the journal cannot be written: lines are lost, mail goes on',
    'ENOENT sessions: what happens in sessions cannot be written: lines are lost, mail goes on',
  ])
  const text = await readFile(join(places.sessions, `test-${process.pid}-0.ndjson`), 'utf8')
  assert.equal(text, '\n{"at":1,"event":"rejected","address":"203.0.113.1"}\n')
})
