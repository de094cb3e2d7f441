import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { journalIdentity, readIdentity } from './host-identity.ts'

test('a folder of the journal has one name for good, and another than any other folder', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-identity-'))
  t.after(() => rm(folder, { recursive: true }))
  const [one, other] = [join(folder, 'one'), join(folder, 'other')]
  assert.equal(readIdentity(one), undefined)
  const identity = journalIdentity(one)
  assert.match(identity, /^[0-9a-f-]{36}$/)
  assert.deepEqual([journalIdentity(one), readIdentity(one)], [identity, identity])
  assert.notEqual(journalIdentity(other), identity)
  assert.deepEqual(await readdir(one), ['identity'])
})
