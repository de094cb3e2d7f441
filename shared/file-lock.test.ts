import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

import { withFileLock } from './file-lock.ts'
import { hostIdentity } from './process-identity.ts'

const folder = mkdtempSync(join(tmpdir(), 'lock-'))
after(() => rmSync(folder, { recursive: true }))

/** No process has it: the kernel gives out smaller ones. */
const nobody = 2 ** 30

function lockedBy(name: string, host: string, ageSeconds: number): string {
  const path = join(folder, name)
  writeFileSync(path, `${nobody} 00 ${host}\n`)
  const touchedAt = new Date(Date.now() - ageSeconds * 1000)
  utimesSync(path, touchedAt, touchedAt)
  return path
}

test('only one of those who ask at the same time has the lock', async () => {
  const path = join(folder, 'shared')
  let inside = 0
  const turns = Array.from({ length: 5 }, () =>
    withFileLock(path, async () => {
      inside += 1
      assert.equal(inside, 1)
      await sleep(5)
      inside -= 1
    }),
  )
  await Promise.all(turns)
})

test('the lock of a process of this host that is gone is taken over', async () => {
  assert.equal(await withFileLock(lockedBy('gone', hostIdentity(), 5), async () => 'taken'), 'taken')
})

test('the lock of a process in another container stands while it is touched', async () => {
  const path = lockedBy('far', 'another/boot/pid:[1]', 5)
  let isTaken = false
  const taking = withFileLock(path, async () => void (isTaken = true))
  await sleep(300)
  assert.equal(isTaken, false)
  const longAgo = new Date(Date.now() - 60_000)
  utimesSync(path, longAgo, longAgo)
  await taking
})

test('of three processes that find the lock of one that is gone each has it alone, one after the other', async () => {
  const own = join(folder, 'three')
  mkdirSync(own)
  const locks = 40
  for (let lock = 0; lock < locks; lock += 1) lockedBy(`three/lock-${lock}`, hostIdentity(), 60)
  const script = join(import.meta.dirname, 'file-lock.child.ts')
  const words = ['--import', 'tsx', script, own, `${locks}`]
  const children = Array.from({ length: 3 }, () =>
    text(spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] }).stdout),
  )
  const said = (await Promise.all(children)).join('').trimEnd().split('\n')
  assert.deepEqual(
    said,
    Array.from({ length: 3 * locks }, () => 'taken'),
  )
  assert.deepEqual(readdirSync(own), [], 'nothing is left')
})
