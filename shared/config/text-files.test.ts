import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { openTextFiles } from './text-files.ts'

const folder = mkdtempSync(join(tmpdir(), 'text-files-'))
after(() => rmSync(folder, { recursive: true }))

test('a change of content, mode or existence is seen after a second, and the disk is not asked before', () => {
  let nowAt = 0
  const files = openTextFiles(() => nowAt)
  const path = join(folder, 'list')
  assert.equal(files.read(path, 100), undefined)
  writeFileSync(path, 'joe\n')
  assert.equal(files.read(path, 100), undefined)
  nowAt = 1000
  assert.equal(files.read(path, 100)?.text, 'joe\n')
  writeFileSync(path, 'joe, ann\n')
  chmodSync(path, 0o600)
  assert.equal(files.read(path, 100)?.text, 'joe\n')
  nowAt = 2000
  assert.deepEqual([files.read(path, 100)?.text, files.read(path, 100)?.mode], ['joe, ann\n', 0o600])
  chmodSync(path, 0o640)
  nowAt = 3000
  assert.equal(files.read(path, 100)?.mode, 0o640)
  rmSync(path)
  nowAt = 4000
  assert.equal(files.read(path, 100), undefined)
})

test('what is no plain file, or too large, is refused, and a pipe nobody writes to does not stop us', () => {
  const files = openTextFiles(() => 0)
  writeFileSync(join(folder, 'large'), 'x'.repeat(101))
  assert.throws(() => files.read(join(folder, 'large'), 100), /larger than 100 octets/)
  assert.throws(() => files.read(folder, 100), /no plain file/)
  execFileSync('mkfifo', [join(folder, 'pipe')])
  assert.throws(() => files.read(join(folder, 'pipe'), 100), /no plain file/)
  assert.deepEqual([files.folder(folder)?.mode, files.folder(join(folder, 'large'))], [0o700, undefined])
})
