import assert from 'node:assert/strict'
import { mkdir, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'

import { newMessageId } from '../mail/message-id.ts'
import { FolderVolume } from './folder-volume.ts'
import { OutcomeIndex } from './outcome-index.ts'
import { relocatedFile } from './segment-name.ts'
import type { OutcomeLogFile } from './spool-files.ts'
import { outcome, storedMessage, temporarySpool, writer } from './test-support.ts'

test('an outcome is not overlooked while its log is moved between a listing and the look into it', async (t) => {
  const path = await temporarySpool(t)
  const spool = await writer(t, path)
  const { id } = storedMessage().envelope
  await spool.settle([outcome(id)])
  await spool.close()
  const volume = new MovingVolume(path)
  const index = new OutcomeIndex({
    place: volume,
    limit: 100,
    onDamage: (damage) => assert.fail(JSON.stringify(damage)),
  })
  const seen = await index.outcomesOf([id])
  assert.equal(volume.moved, 1)
  assert.equal(seen.get(id)?.length, 1)
  await index.close()
})

test('an outcome is found whatever the clocks said when it was logged', async (t) => {
  const spool = await writer(t, await temporarySpool(t))
  const id = newMessageId(Date.now() + 5 * 3_600_000)
  await spool.settle([outcome(id)])
  assert.equal((await spool.outcomesOf([id])).get(id)?.length, 1)
})

/** Cleaning comes between: what the first listing tells of is moved before it is opened. */
class MovingVolume extends FolderVolume {
  moved = 0

  override async listOutcomeLogs(): Promise<readonly OutcomeLogFile[]> {
    const logs = await super.listOutcomeLogs()
    if (this.moved > 0) return logs
    for (const { path } of logs) {
      const to = join(this.folder, relocatedFile(path))
      await mkdir(dirname(to), { recursive: true })
      await rename(join(this.folder, path), to)
      this.moved += 1
    }
    return logs
  }
}
