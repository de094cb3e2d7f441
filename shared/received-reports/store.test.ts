import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { ReceivedReportsReader } from './reader.ts'
import { expireReports, keepReport, reportFiles } from './store.ts'
import { sampleDmarc, sampleTls } from './testing.ts'

const dayMs = 86_400_000

async function folderFor(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'received-'))
  t.after(() => rm(folder, { recursive: true }))
  return folder
}

test('a report is kept once, in the folder of its month, whoever brings it again and when', async (t) => {
  const folder = await folderFor(t)
  const first = sampleDmarc({ receivedAt: Date.UTC(2026, 9, 31) })
  assert.equal(await keepReport(folder, first), 'kept')
  assert.equal(await keepReport(folder, sampleDmarc({ receivedAt: Date.UTC(2026, 10, 2), message: '2' })), 'known')
  assert.equal(await keepReport(folder, sampleDmarc({ reportId: 'other' })), 'kept')
  assert.equal(await keepReport(folder, sampleDmarc({ domain: 'example.net' })), 'kept')
  assert.equal(await keepReport(folder, sampleTls()), 'kept')
  assert.equal(await keepReport(folder, sampleTls({ message: '3' })), 'known')
  const { reports } = await new ReceivedReportsReader(folder).read('dmarc', 0)
  assert.deepEqual(reports.map(({ domain, reportId }) => `${domain} ${reportId}`).toSorted(), [
    'example.net 4711',
    'example.org 4711',
    'example.org other',
  ])
  assert.deepEqual((await readdir(folder)).toSorted(), ['2026-10', '2026-11'])
  for (const month of await readdir(folder))
    for (const name of await readdir(join(folder, month))) assert.match(name, /^(?:dmarc|tls)-[0-9a-f]{32}\.json$/)
})

test('of many that keep the same report at once one does', async (t) => {
  const folder = await folderFor(t)
  const all = await Promise.all(
    Array.from({ length: 20 }, (_, index) => keepReport(folder, sampleDmarc({ message: `m${index}` }))),
  )
  assert.equal(all.filter((kept) => kept === 'kept').length, 1)
  assert.equal((await reportFiles(folder, 0)).length, 1)
})

test('a forged report that comes first does not keep the true one away, and does not replace it', async (t) => {
  const folder = await folderFor(t)
  const forged = sampleDmarc({ message: 'forged', mail: { domain: 'receiver.test', dmarc: 'fail' } })
  const genuine = sampleDmarc({ message: 'true', mail: { domain: 'receiver.test', dmarc: 'pass' } })
  const elsewhere = sampleDmarc({ message: 'other', mail: { domain: 'attacker.test', dmarc: 'pass' } })
  assert.deepEqual(
    [await keepReport(folder, elsewhere), await keepReport(folder, forged), await keepReport(folder, genuine)],
    ['kept', 'kept', 'kept'],
  )
  assert.equal(await keepReport(folder, forged), 'known')
  const { reports } = await new ReceivedReportsReader(folder).read('dmarc', 0)
  assert.deepEqual(reports.map(({ message }) => String(message)).toSorted(), ['other', 'true'])
})

test('what is older than its time is deleted, with folders that are empty then and what a crash left', async (t) => {
  const folder = await folderFor(t)
  const nowAt = Date.UTC(2026, 10, 21)
  await keepReport(folder, sampleDmarc({ receivedAt: nowAt - 60 * dayMs, reportId: 'old' }))
  await keepReport(folder, sampleDmarc({ receivedAt: nowAt, reportId: 'new' }))
  await writeFile(join(folder, '2026-09', '.x.part'), 'half')
  for (const name of await readdir(join(folder, '2026-09')))
    await utimes(join(folder, '2026-09', name), new Date(nowAt - 60 * dayMs), new Date(nowAt - 60 * dayMs))
  await mkdir(join(folder, 'of-somebody-else'))
  assert.equal(await expireReports(folder, nowAt - 30 * dayMs), 1)
  assert.deepEqual((await readdir(folder)).toSorted(), ['2026-11', 'of-somebody-else'])
  assert.equal(await expireReports(join(folder, 'not-there'), nowAt), 0)
})

test('what is asked again is not read again, what changed or is new is, and a damaged file harms nobody', async (t) => {
  const folder = await folderFor(t)
  const reader = new ReceivedReportsReader(folder)
  assert.deepEqual(await reader.read('dmarc', 0), { reports: [], cut: false })
  await keepReport(folder, sampleDmarc({ mail: { domain: 'receiver.test' } }))
  const [first] = (await reader.read('dmarc', 0)).reports
  assert.equal((await reader.read('dmarc', 0)).reports[0], first)
  const month = join(folder, (await readdir(folder))[0] ?? '')
  await writeFile(join(month, `dmarc-${'0'.repeat(32)}.json`), '{"kind":"dm')
  await keepReport(folder, sampleDmarc({ reportId: 'second' }))
  const read = await reader.read('dmarc', 0)
  assert.deepEqual(read.reports.map(({ reportId }) => reportId).toSorted(), ['4711', 'second'])
  assert.deepEqual((await reader.read('dmarc', Date.now() + dayMs)).reports, [])
})
