import assert from 'node:assert/strict'
import { appendFile, mkdtemp, rm, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { JournalTail } from './journal-tail.ts'

test('a file that nobody wrote to for days is read within a second of being written to', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-tail-'))
  t.after(() => rm(folder, { recursive: true }))
  const file = join(folder, 'a-1-1-0.ndjson')
  const nowAt = Date.now()
  await appendFile(file, 'one\n')
  await utimes(file, new Date(nowAt - 1e9), new Date(nowAt - 1e9))
  const tail = new JournalTail(folder, new Map())
  const texts = (at: number): readonly string[] =>
    tail.read(1_000, at).flatMap(({ lines }) => lines.map(({ text }) => text))
  assert.deepEqual(texts(nowAt), ['one'])
  await appendFile(file, 'two\n')
  assert.deepEqual(texts(nowAt + 1_000), ['two'])
  assert.deepEqual(texts(nowAt + 1_001), [])
})

test('reading goes on where it ended, and gives nothing out twice', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-tail-'))
  t.after(() => rm(folder, { recursive: true }))
  await appendFile(join(folder, 'a-1-1-0.ndjson'), 'one\ntwo\n')
  const tail = new JournalTail(folder, new Map([['a-1-1-0.ndjson', 4]]))
  const first = tail.read(1_000, 0)
  assert.deepEqual(first, [{ name: 'a-1-1-0.ndjson', from: 4, position: 8, lines: [{ offset: 4, text: 'two' }] }])
  assert.deepEqual(tail.read(1_000, 0), [])
})
