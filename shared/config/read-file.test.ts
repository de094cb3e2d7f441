import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { readConfigurationFile, readTableFile } from './read-file.ts'

const folder = mkdtempSync(join(tmpdir(), 'read-file-'))
after(() => rmSync(folder, { recursive: true }))

test('a device that never ends is refused as a configuration and as a table', () => {
  assert.throws(() => readConfigurationFile('/dev/zero'), /^Error: \/dev\/zero is larger than 64 MiB$/)
  assert.throws(() => readTableFile('/dev/zero'), /larger than 64 MiB/)
})

test('/dev/null is an empty configuration', () => {
  assert.equal(readConfigurationFile('/dev/null'), '')
})

test('a pipe is read to its end', () => {
  const script = `import { readConfigurationFile } from './shared/config/read-file.ts'
    process.stdout.write(String(readConfigurationFile('/dev/stdin').length))`
  const options = { input: 'x'.repeat(200_000), encoding: 'utf8' } as const
  const { stdout, stderr } = spawnSync(
    '/bin/sh',
    ['-c', `cat | "$0" --import tsx --input-type=module -e "$1"`, process.execPath, script],
    options,
  )
  assert.equal(stdout, '200000', stderr)
})

test('a file that is too large is refused before it is read; a table may be larger than a configuration', () => {
  const path = join(folder, 'large')
  writeFileSync(path, '')
  truncateSync(path, 600 * 1024 * 1024)
  assert.throws(() => readConfigurationFile(path), /larger than 64 MiB/)
  assert.throws(() => readTableFile(path), /larger than 512 MiB/)
})

test('a file that is not there, or is a folder, is told with its path', () => {
  assert.throws(() => readConfigurationFile(join(folder, 'none')), { code: 'ENOENT' })
  assert.throws(() => readConfigurationFile(folder), { code: 'EISDIR' })
})
