import assert from 'node:assert/strict'
import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { runTrimmed } from './testing.ts'

const bundled = fileURLToPath(new URL('../../deploy/local/smtpd.conf', import.meta.url))

test('a changed copy of the configuration that ships with Sluice is tried as it is', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'dry-run-'))
  t.after(() => rm(folder, { recursive: true }))
  const copy = join(folder, 'new.conf')
  await copyFile(bundled, copy)
  const { code, out, errors } = await runTrimmed(['dry-run', '-f', copy], { SLUICE_DATA: folder })
  assert.equal(code, 0, errors)
  assert.match(out, /^looked at 0 messages /)
})
