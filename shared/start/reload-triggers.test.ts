import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import type { Reload } from '../config/live-configuration.ts'
import { fixedConfiguration } from '../config/live-configuration.ts'
import type { Configuration } from '../config/model.ts'
import { silentLog } from '../log.ts'
import { requestReload } from './reload-request.ts'
import { watchForReload } from './reload-triggers.ts'

/** Looks as fast as it can; `differences` are what it sees, the last again and again. */
async function open(t: TestContext, differences: string[], results: Reload[]) {
  const dataFolder = await mkdtemp(join(tmpdir(), 'triggers-'))
  const told: string[] = []
  const waiting: (() => void)[] = []
  let looks = 0
  let fault: string | undefined
  const reload = (): Promise<Reload> => {
    const result = results.shift() ?? { kind: 'unchanged', revision: 'r' }
    fault = result.kind === 'refused' ? result.fault : undefined
    told.push(`reload at look ${looks}`)
    if (differences.length > 1) differences.splice(0, differences.length, '')
    return Promise.resolve(result)
  }
  const fixed = fixedConfiguration({ revision: 'r' } as Configuration)
  const live = {
    ...fixed,
    get fault() {
      return fault
    },
    reload,
  }
  const triggers = watchForReload({
    live,
    files: {
      difference: () => {
        looks += 1
        return Promise.resolve((differences.length > 1 ? differences.shift() : differences[0]) ?? '')
      },
    },
    dataFolder,
    log: silentLog(),
    onDone: (result, request, isNews) => {
      if (result.kind === 'refused' && isNews) told.push(`refused: ${result.fault}`)
      told.push(`done ${result.kind}${request === undefined ? '' : ' as asked'}`)
      waiting.shift()?.()
    },
    lookMs: 1,
  })
  t.after(async () => {
    await triggers.close()
    await rm(dataFolder, { recursive: true })
  })
  const done = (): Promise<void> => new Promise((resolve) => waiting.push(resolve))
  return { dataFolder, triggers, told, done }
}

const replaced: Reload = { kind: 'replaced', revision: 's', previous: 'r', warnings: [] }
const refused: Reload = { kind: 'refused', revision: 'r', fault: 'line 3' }

test('a file that is still being written is read when it stays as it is', async (t) => {
  const { told, done } = await open(t, ['', 'a 1', 'a 2', 'a 3', 'a 3', 'a 3'], [replaced])
  await done()
  assert.deepEqual(told, ['reload at look 5', 'done replaced'])
})

test('a fault is told once and tried again until it is mended', async (t) => {
  const { told, done } = await open(t, ['a', 'a', ''], [refused, refused, replaced])
  await done()
  await done()
  await done()
  const told2 = told.filter((line) => !line.startsWith('reload'))
  assert.deepEqual(told2, ['refused: line 3', 'done refused', 'done refused', 'done replaced'])
})

test('SIGHUP and sluicectl are answered also when nothing is new', async (t) => {
  const { dataFolder, triggers, told, done } = await open(t, [''], [])
  const first = done()
  triggers.now()
  await first
  const second = done()
  await requestReload(dataFolder)
  await second
  assert.deepEqual(
    told.filter((line) => line.startsWith('done')),
    ['done unchanged', 'done unchanged as asked'],
  )
})
