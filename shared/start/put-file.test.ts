import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { putFile } from './put-file.ts'

test('a file is whole, whoever else writes it at the same time, and nothing stays beside it', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-put-'))
  t.after(() => rm(folder, { recursive: true }))
  const path = join(folder, 'new', 'tokens')
  const texts = ['a', 'b', 'c'].map((letter) => letter.repeat(100_000))
  await Promise.all(texts.map((text) => putFile(path, text, 0o600)))
  assert.ok(texts.includes(await readFile(path, 'utf8')))
  assert.equal((await stat(path)).mode & 0o777, 0o600)
  assert.deepEqual(await readdir(join(folder, 'new')), ['tokens'])
  await assert.rejects(putFile(join(folder, 'new'), 'x', 0o600))
  assert.deepEqual(await readdir(folder), ['new'])
})
