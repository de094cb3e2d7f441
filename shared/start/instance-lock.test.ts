import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { lockInstance } from './instance-lock.ts'
import { StartError } from './start-error.ts'

test('a data folder has one holder, and the refusal names it', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'lock-'))
  t.after(() => rm(folder, { recursive: true }))
  const first = await lockInstance(folder, 'sluice')
  await assert.rejects(lockInstance(folder, 'sluice'), (error: Error) => {
    return error instanceof StartError && error.message.includes(`process ${process.pid}`)
  })
  await first.release()
  await (await lockInstance(folder, 'sluice')).release()
})

test('a killed holder does not keep the folder', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'lock-'))
  t.after(() => rm(folder, { recursive: true }))
  const script = `
    import { lockInstance } from ${JSON.stringify(new URL('./instance-lock.ts', import.meta.url).href)}
    await lockInstance(${JSON.stringify(folder)}, 'sluice')
    console.log('locked')
    setInterval(() => {}, 1000)`
  const holder = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(holder.stdout, 'data')
  await assert.rejects(lockInstance(folder, 'sluice'), StartError)
  holder.kill('SIGKILL')
  await once(holder, 'exit')
  await (await lockInstance(folder, 'sluice')).release()
})
