import assert from 'node:assert/strict'
import { copyFile, readFile, readdir, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { crc32 } from 'node:zlib'

import { withFile } from './file-io.ts'
import { segmentSeed } from './frame.ts'
import { LiveIndex } from './live-index.ts'
import { scanSegment } from './scan.ts'
import type { Damage } from './scan.ts'
import { SpoolReadError } from './spool.ts'
import { octets, outcome, storedMessage, temporarySpool, writer } from './test-support.ts'

test('a log that was torn at any octet keeps all records before, and reports nothing', async (t) => {
  const path = await temporarySpool(t)
  const spool = await writer(t, path)
  const ends: number[] = []
  let segment = ''
  for (const length of [0, 30, 7]) {
    const locator = await spool.store(storedMessage(), octets(length))
    ends.push(locator.offset + locator.recordBytes)
    segment = locator.segment
  }
  await spool.close()
  for (let length = ends.at(-1) ?? 0; length >= 0; length -= 1) {
    await truncate(join(path, segment), length)
    const index = await LiveIndex.open(path, { onDamage: (damage) => assert.fail(JSON.stringify(damage)) })
    assert.equal(index.size, ends.filter((end) => end <= length).length)
  }
})

test('messages that wait at one moment share a write', async (t) => {
  const path = await temporarySpool(t)
  const spool = await writer(t, path)
  await spool.store(storedMessage(), octets(10))
  const [locator] = await Promise.all(Array.from({ length: 200 }, () => spool.store(storedMessage(), octets(10))))
  let groups = 0
  let records = 0
  await withFile(join(path, locator!.segment), (fd) =>
    scanSegment({
      fd,
      segment: locator!.segment,
      from: 0,
      visit: ({ head }) => {
        records += 1
        if (head.startsGroup) groups += 1
      },
      onDamage: (damage) => assert.fail(JSON.stringify(damage)),
    }),
  )
  assert.equal(records, 201)
  assert.ok(groups <= 4, `${groups} writes`)
})

test('outcomes that were torn off are not there, those before are', async (t) => {
  const path = await temporarySpool(t)
  const spool = await writer(t, path)
  const messages = [storedMessage(), storedMessage(), storedMessage()]
  for (const message of messages) await spool.store(message, octets(10))
  for (const { envelope } of messages) await spool.settle([outcome(envelope.id)])
  await spool.close()
  const log = join(path, await fileOf(path, '.out'))
  const whole = await readFile(log)
  for (let length = whole.length; length >= 0; length -= 9) {
    await truncate(log, length)
    const live = (await LiveIndex.open(path)).size
    assert.equal(live, 3 - Math.floor(length / (whole.length / 3)))
  }
})

test('zeros behind the last group, as a power cut may leave them, are no records', async (t) => {
  const path = await temporarySpool(t)
  const spool = await writer(t, path)
  const first = await spool.store(storedMessage(), octets(100))
  const group = await Promise.all([1, 2, 3].map((seed) => spool.store(storedMessage(), octets(5000, seed))))
  await spool.close()
  const file = join(path, first.segment)
  const bytes = await readFile(file)
  // The last record's head reached the disk, its content did not.
  const last = group.at(-1)
  bytes.fill(0, (last?.offset ?? 0) + (last?.recordBytes ?? 0) - 4000)
  await writeFile(file, bytes)
  assert.equal((await LiveIndex.open(path, { onDamage: (damage) => assert.fail(JSON.stringify(damage)) })).size, 3)
})

test('damage between sound records is reported once, and what follows is still there', async (t) => {
  const path = await temporarySpool(t)
  const spool = await writer(t, path)
  const messages = [1, 2, 3, 4].map(() => storedMessage())
  const locators = []
  for (const message of messages) locators.push(await spool.store(message, octets(1000)))
  const damaged = locators[1]!
  const file = join(path, damaged.segment)
  const bytes = await readFile(file)
  bytes[damaged.offset + 20] = (bytes[damaged.offset + 20] ?? 0) ^ 1
  await writeFile(file, bytes)
  const damages: Damage[] = []
  const index = await LiveIndex.open(path, { onDamage: (damage) => damages.push(damage) })
  await spool.store(storedMessage(), octets(10))
  await index.refresh()
  assert.deepEqual(damages, [
    { segment: damaged.segment, offset: damaged.offset, bytes: damaged.recordBytes, reason: 'no sound record' },
  ])
  assert.equal(index.damageCount, 1)
  assert.equal(index.size, 4)
  assert.equal(index.get(messages[1]!.envelope.id), undefined)
  await assert.rejects(spool.read(damaged), SpoolReadError)
})

test('a message that holds a copy of a segment cannot forge records', async (t) => {
  const path = await temporarySpool(t)
  const spool = await writer(t, path)
  const first = await spool.store(storedMessage(), octets(100))
  const copy = await readFile(join(path, first.segment))
  await spool.close()
  const second = await writer(t, path)
  const carrier = await second.store(storedMessage(), copy)
  await second.store(storedMessage(), octets(10))
  const bytes = await readFile(join(path, carrier.segment))
  bytes[carrier.offset] = 0
  await writeFile(join(path, carrier.segment), bytes)
  const index = await LiveIndex.open(path)
  assert.equal(index.size, 2)
  assert.equal(index.damageCount, 1)
})

test('a record of a schema to come is reported even at the end of a log', async (t) => {
  const path = await temporarySpool(t)
  const spool = await writer(t, path)
  await spool.store(storedMessage(), octets(100))
  const locator = await spool.store(storedMessage(), octets(100))
  await spool.close()
  const bytes = await readFile(join(path, locator.segment))
  const head = bytes.subarray(locator.offset, locator.offset + 80)
  head[4] = 9
  head.writeUInt32LE(crc32(head.subarray(0, 76), segmentSeed(locator.segment)), 76)
  await writeFile(join(path, locator.segment), bytes)
  const damages: Damage[] = []
  const index = await LiveIndex.open(path, { onDamage: (damage) => damages.push(damage) })
  assert.equal(index.size, 1)
  assert.match(damages[0]?.reason ?? '', /schema 9/)
})

test('a segment that was copied to another name holds no records', async (t) => {
  const path = await temporarySpool(t)
  const spool = await writer(t, path)
  const { segment } = await spool.store(storedMessage(), octets(100))
  await copyFile(join(path, segment), join(path, segment.replace('000001', '000007')))
  assert.equal((await LiveIndex.open(path)).size, 1)
})

async function fileOf(path: string, extension: string): Promise<string> {
  const file = (await readdir(path, { recursive: true })).find((one) => one.endsWith(extension))
  assert.ok(file !== undefined)
  return file
}
