import assert from 'node:assert/strict'
import { chown, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { runTrimmed } from './testing.ts'

const nobody = 65_534

test(
  'what root makes in the data folder of another belongs to that one, who runs the services',
  { skip: process.getuid?.() === 0 ? false : 'needs root' },
  async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-owner-'))
    t.after(async () => {
      process.seteuid?.(0)
      process.setegid?.(0)
      await rm(folder, { recursive: true })
    })
    const smtpdConf = join(folder, 'smtpd.conf')
    await writeFile(smtpdConf, 'listen on lo port 2525\naction "out" relay\nmatch for any action "out"\n', {
      mode: 0o600,
    })
    await chown(folder, nobody, nobody)
    const kept = await runTrimmed(['find', '--save', 'late', 'status:delayed', '-d', folder, '-f', smtpdConf], {})
    assert.deepEqual([kept.code, kept.errors], [0, ''])
    for (const path of ['searches', 'searches/saved.json']) {
      const { uid, gid } = await stat(join(folder, path))
      assert.deepEqual([path, uid, gid], [path, nobody, nobody])
    }
    process.seteuid?.(0)
    assert.match(
      (await runTrimmed(['find', '--searches', '-d', folder, '-f', smtpdConf], {})).out,
      /root \(sluicectl\)/,
    )
  },
)
