import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { startHeartbeats } from '../shared/heartbeat.ts'
import type { BeatingService } from '../shared/heartbeat.ts'

const program = fileURLToPath(new URL('healthy.ts', import.meta.url))
const well: BeatingService = { service: 'filter', listens: [], lastJobAt: () => undefined, troubles: async () => [] }

async function folderWith(t: TestContext, service: BeatingService | undefined, beatAt = Date.now()): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'healthy-'))
  t.after(() => rm(folder, { recursive: true }))
  if (service !== undefined) {
    const beats = await startHeartbeats(folder, [service], () => beatAt)
    t.after(() => beats.stop())
  }
  return folder
}

function ask(folder: string, ...words: readonly string[]): Promise<{ readonly code: number; readonly text: string }> {
  return new Promise((resolve) => {
    const args = ['--import', 'tsx', program, ...words]
    execFile(process.execPath, args, { env: { ...process.env, SLUICE_DATA: folder } }, (error, text) =>
      resolve({ code: error === null ? 0 : Number(error.code), text }),
    )
  })
}

async function codes(folder: string): Promise<readonly number[]> {
  const answers = await Promise.all([[], ['ready'], ['alive']].map((words) => ask(folder, ...words)))
  return answers.map(({ code }) => code)
}

test('a service that is well is healthy, ready and alive; one that says nothing is none of it', async (t) => {
  assert.deepEqual(await codes(await folderWith(t, well)), [0, 0, 0])
  assert.deepEqual(await codes(await folderWith(t, undefined)), [1, 1, 1])
  assert.deepEqual(await codes(await folderWith(t, well, Date.now() - 60_000)), [1, 1, 1])
})

test('a trouble ends no readiness, what is lacking does; neither is a reason to start anew, and both are told', async (t) => {
  const troubled = await folderWith(t, { ...well, troubles: async () => ['clamd does not answer'] })
  assert.deepEqual(await codes(troubled), [1, 0, 0])
  assert.equal((await ask(troubled)).text, 'filter: clamd does not answer\n')
  const lacking = await folderWith(t, { ...well, lacks: async () => ['Redis does not answer'] })
  assert.deepEqual(await codes(lacking), [0, 1, 0])
  assert.equal((await ask(lacking, 'ready')).text, 'filter: Redis does not answer\n')
})

test('another word is refused, with those there are', async (t) => {
  const { code, text } = await ask(await folderWith(t, well), 'live')
  assert.deepEqual([code, text], [64, "healthy.js knows healthy, ready, alive, not 'live'\n"])
})
