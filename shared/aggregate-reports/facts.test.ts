import assert from 'node:assert/strict'
import { appendFile, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { silentLog } from '../log.ts'
import { openFactLog } from './fact-log.ts'
import { boundsOf, dayOf, factsFolder, parseDay } from './facts.ts'
import type { Day } from './facts.ts'
import { factDays, readDmarcFacts } from './read-facts.ts'
import { dmarcFact, noonAt, testDay, writeFacts } from './testing.ts'

const folder = await mkdtemp(join(tmpdir(), 'facts-'))
after(() => rm(folder, { recursive: true }))

test('what several processes saw on a day is added up for each domain', async () => {
  const other = dmarcFact({ domain: 'south.test' })
  await writeFacts(folder, 'dmarc', [dmarcFact(), dmarcFact(), other])
  const log = openFactLog({
    dataFolder: folder,
    kind: 'dmarc',
    writer: 'second',
    clock: { now: () => noonAt },
    log: silentLog(),
  })
  log.add(dmarcFact())
  log.add(dmarcFact({ sourceIp: '2001:db8::7' }))
  await log.close()
  const { byDomain, leftOut } = await readDmarcFacts(folder, testDay)
  assert.deepEqual([...byDomain.keys()].toSorted(), ['north.test', 'south.test'])
  const counts = (byDomain.get('north.test') ?? []).map(({ fact, count }) => `${fact.sourceIp} ${count}`)
  assert.deepEqual(counts.toSorted(), ['192.0.2.7 3', '2001:db8::7 1'])
  assert.equal(leftOut, 0)
  assert.deepEqual(await factDays(folder, 'dmarc'), [testDay])
})

test('a line that a crash has cut loses itself and no other', async () => {
  const dataFolder = join(folder, 'cut')
  await writeFacts(dataFolder, 'dmarc', [dmarcFact()])
  const path = join(factsFolder(dataFolder, 'dmarc'), testDay)
  const [name = ''] = await readdir(path)
  await appendFile(join(path, name), '{"count":1,"fact":{"domain":"cut.te')
  assert.deepEqual((await readDmarcFacts(dataFolder, testDay)).byDomain.get('north.test'), [
    { fact: dmarcFact(), count: 1 },
  ])
})

test('what is seen before and after midnight stands under its own day', async () => {
  const time = { now: Date.parse('2026-11-20T23:59:59.900Z') }
  const dataFolder = join(folder, 'midnight')
  const log = openFactLog({ dataFolder, kind: 'dmarc', writer: 'a', clock: { now: () => time.now }, log: silentLog() })
  log.add(dmarcFact())
  time.now += 200
  log.add(dmarcFact())
  log.add(dmarcFact())
  await log.close()
  const counts = async (day: Day) => (await readDmarcFacts(dataFolder, day)).byDomain.get('north.test')?.[0]?.count
  assert.deepEqual([await counts(testDay), await counts('2026-11-21' as Day)], [1, 2])
})

test('a disk that takes nothing costs statistics, and is told once', async () => {
  const dataFolder = join(folder, 'file')
  await writeFile(dataFolder, '')
  const warnings: string[] = []
  const warn = (_fields: object, message: string): void => void warnings.push(message)
  const log = openFactLog({ dataFolder, kind: 'dmarc', writer: 'a', clock: { now: () => noonAt }, log: { warn } })
  log.add(dmarcFact())
  log.add(dmarcFact())
  await log.close()
  log.add(dmarcFact())
  await log.close()
  assert.deepEqual([log.lost, warnings.length], [3, 1])
})

test('where nothing happened there is nothing to read and no folder', async () => {
  assert.deepEqual(await factDays(join(folder, 'none'), 'dmarc'), [])
  assert.equal((await readDmarcFacts(join(folder, 'none'), testDay)).byDomain.size, 0)
})

test('a day is one of the calendar, from midnight to midnight in UTC', () => {
  assert.equal(dayOf(noonAt), testDay)
  assert.deepEqual(boundsOf(testDay), { beginAt: noonAt - 43_200_000, endAt: noonAt + 43_200_000 })
  assert.equal(parseDay('2026-11-20'), testDay)
  for (const text of ['2026-02-30', '2026-13-01', '2026-1-1', 'received', '']) assert.equal(parseDay(text), undefined)
})
