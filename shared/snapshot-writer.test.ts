import assert from 'node:assert/strict'
import { readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import { tempFolder } from '../test/support/temp-folder.ts'
import { tellingSnapshotWriter } from './snapshot-writer.ts'

test('counts that cannot be written are told once, and again when they can; the last ones stand, whole', async (t) => {
  const folder = await tempFolder('snapshot')
  t.after(() => folder.remove())
  const told: string[] = []
  const put = tellingSnapshotWriter('the hits of rules', {
    warn: (_fields: unknown, text: string) => void told.push(text),
    info: (_fields: unknown, text: string) => void told.push(text),
  })
  const day = join(folder.path, 'hits', '2026-11-21')
  const path = join(day, 'one.json')
  await writeFile(join(folder.path, 'hits'), 'a file where a folder should be')
  await Promise.all([put(path, 'a'), put(path, 'b')])
  await rm(join(folder.path, 'hits'))
  await Promise.all([put(path, 'a long text that was written first'), put(path, 'c')])
  assert.equal(await readFile(path, 'utf8'), 'c')
  assert.deepEqual(await readdir(day), ['one.json'])
  assert.deepEqual(told, ['the hits of rules cannot be written; mail goes on', 'the hits of rules are written again'])
})
