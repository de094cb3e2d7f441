import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { openAudit } from './audit.ts'
import { silentLog } from './log.ts'

const parts = { log: silentLog(), clock: { now: () => 1_700_000_000_000 } }
const entry = { by: 'rita', from: '192.0.2.1', action: 'act on what a search found', outcome: 'refused' } as const

async function folderOf(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-audit-'))
  t.after(() => rm(folder, { recursive: true }))
  return folder
}

test('nobody pushes out what others did by one entry of many words', async (t) => {
  const audit = await openAudit(await folderOf(t), parts)
  const long = '\u0000'.repeat(8_000)
  audit.record({ ...entry, about: long, detail: long })
  const [kept] = await audit.last(1)
  assert.deepEqual([kept?.about, kept?.detail], [`${'\u0000'.repeat(500)}...`, `${'\u0000'.repeat(500)}...`])
  await audit.close()
})

test('a full file is put aside once, and stays whole, also when several processes find it full', async (t) => {
  const folder = await folderOf(t)
  await mkdir(join(folder, 'audit'))
  const full = `${JSON.stringify({ at: 1, ...entry })}\n`.repeat(45_000)
  await writeFile(join(folder, 'audit', 'audit.ndjson'), full)
  const audits = await Promise.all(Array.from({ length: 30 }, () => openAudit(folder, parts)))
  for (const audit of audits) {
    audit.record(entry)
    await new Promise((resolve) => setImmediate(resolve))
  }
  await Promise.all(audits.map((audit) => audit.close()))
  assert.equal(await readFile(join(folder, 'audit', 'audit.1.ndjson'), 'utf8'), full)
  assert.equal((await readFile(join(folder, 'audit', 'audit.ndjson'), 'utf8')).trimEnd().split('\n').length, 30)
})
