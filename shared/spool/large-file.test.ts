import assert from 'node:assert/strict'
import { readdir, stat } from 'node:fs/promises'
import { test } from 'node:test'

import { systemClock } from '../clock.ts'
import { LargeFile } from './large-file.ts'
import { octets, temporarySpool } from './test-support.ts'
import { WriterFolder } from './writer-folder.ts'

test('a content that is given up while it is being finished keeps its descriptor until that is done', async (t) => {
  const path = await temporarySpool(t)
  const folder = await WriterFolder.create(path, 'test', systemClock)
  t.after(() => folder.close())
  let letGo = (): void => undefined
  const held = new Promise<void>((resolve) => {
    letGo = resolve
  })
  const syncing = new Promise<void>((resolve) => {
    folder.sync = () => {
      resolve()
      return held
    }
  })
  const content = new LargeFile(folder, 1)
  await content.write([octets(600_000)])
  const finished = content.finish()
  await syncing
  const givenUp = content.giveUp()
  for (let trip = 0; trip < 20; trip += 1) await stat(path)
  letGo()
  await finished
  await givenUp
  assert.deepEqual(await readdir(folder.path), ['alive'])
})
