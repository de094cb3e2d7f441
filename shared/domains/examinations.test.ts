import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import type { Examination } from '../doctor/examination.ts'
import { openExaminations } from './examinations.ts'

const seen: Examination = {
  findings: [{ check: 'mx', verdict: 'wrong', text: 'no MX', publish: 'example.org. IN MX 10 mx.example.org.' }],
  addresses: ['192.0.2.1'],
  publications: [{ name: 'main._domainkey.example.org', kind: 'published' }],
}

test('one look at a time, and what it saw is there after a restart; what another version wrote is not', async (t) => {
  const dataFolder = await mkdtemp(join(tmpdir(), 'examinations-'))
  t.after(() => rm(dataFolder, { recursive: true }))
  let nowAt = 1_000
  const clock = { now: () => nowAt }
  let looks = 0
  let begin = (): void => undefined
  const begun = new Promise<void>((resolve) => {
    begin = resolve
  })
  const open = () =>
    openExaminations({
      dataFolder,
      clock,
      async examine() {
        looks += 1
        await begun
        nowAt += 500
        return seen
      },
    })
  const examinations = open()
  assert.equal(await examinations.last('example.org'), undefined)
  const both = [examinations.run('example.org'), examinations.run('example.org')]
  assert.deepEqual([examinations.isRunning('example.org'), examinations.isRunning('example.net')], [true, false])
  begin()
  const [one, other] = await Promise.all(both)
  assert.deepEqual([looks, one], [1, other])
  assert.equal(examinations.isRunning('example.org'), false)
  await examinations.close()
  assert.deepEqual(await open().last('example.org'), { at: 1_000, tookMs: 500, ...seen })
  const [file = ''] = await readdir(join(dataFolder, 'domains'))
  for (const text of ['{', '{}', '{"at":1,"tookMs":1,"addresses":[],"findings":[{"verdict":"fine"}]}']) {
    await writeFile(join(dataFolder, 'domains', file), text)
    assert.equal(await open().last('example.org'), undefined, text)
  }
})
