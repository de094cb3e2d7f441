import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import { root } from '../support/fixtures.ts'
import { findPeer, missingPeers } from '../support/peer.ts'
import { type Finished, run } from '../support/process.ts'
import { tempFolder } from '../support/temp-folder.ts'

const unit = join(root, 'deploy/systemd/sluice.service')
const skip = missingPeers('systemd-analyze')

test('systemd knows every word of the unit', { skip }, async (t) => {
  const verified = await verify(t, (text) => text)
  assert.deepEqual([verified.code, verified.stderr], [0, ''])
  // It would tell.
  const misspelt = await verify(t, (text) => text.replace('ProtectSystem=', 'ProtectSytem='))
  assert.match(misspelt.stderr, /Unknown key .*'ProtectSytem'/)
})

test("by systemd's own measure the service may do little: an exposure of at most 2 of 10", { skip }, async () => {
  const { code, stdout } = await analyze('security', '--offline=true', '--threshold=20', '--no-pager', unit)
  assert.equal(code, 0, stdout)
})

/** As if node were where the unit has it, which it need not be here. */
async function verify(
  t: { after(clean: () => Promise<void>): void },
  change: (text: string) => string,
): Promise<Finished> {
  const folder = await tempFolder('unit')
  t.after(() => folder.remove())
  const text = readFileSync(unit, 'utf8')
  assert.match(text, /^ExecStart=\/usr\/bin\/node /m)
  const file = join(folder.path, 'sluice.service')
  await writeFile(file, change(text).replace('ExecStart=/usr/bin/node', `ExecStart=${process.execPath}`))
  return analyze('verify', '--man=no', '--recursive-errors=no', file)
}

function analyze(...args: readonly string[]): Promise<Finished> {
  return run(findPeer('systemd-analyze') ?? 'systemd-analyze', args)
}
