import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'

import type { MessageId } from '../../mail/message-id.ts'
import { collectGarbage } from '../garbage.ts'
import { LiveIndex } from '../live-index.ts'
import type { Locator } from '../spool.ts'
import { octets, outcome, storedMessage } from '../test-support.ts'
import { partsStayMs } from './bucket-log.ts'
import { BucketWriter, deadAfterMs, declareDead, leaseMs } from './bucket-writer.ts'
import { openS3Store } from './s3-store.ts'
import { bucketVolume, bucketWriter, storeOf, temporaryHost, testBucket } from './testing.ts'
import type { TestBucket } from './testing.ts'

const everything = { olderThanMs: 0, relocateAfterMs: 0, outcomesMs: 0, unfinishedMs: 0 }
const later = { now: () => Date.now() + 10_000 }

test('messages that wait together share one object', async (t) => {
  const bucket = await testBucket(t)
  const spool = await bucketWriter(t, bucket, await temporaryHost(t))
  const stores = Array.from({ length: 100 }, (_, seed) => spool.store(storedMessage(), octets(500, seed)))
  const locators = await Promise.all(stores)
  assert.equal(new Set(locators.map(({ segment }) => segment)).size, bucket.objects.keys('msg/').length)
  assert.ok(bucket.objects.keys('msg/').length <= 10, bucket.objects.keys('msg/').join(' '))
})

test('a host fetches an object once for all of its processes, and what it stored not at all', async (t) => {
  const bucket = await testBucket(t)
  const here = await temporaryHost(t)
  const there = await temporaryHost(t)
  const spool = await bucketWriter(t, bucket, here)
  const neighbour = await bucketWriter(t, bucket, here)
  const [one, two] = await Promise.all([
    bucketWriter(t, bucket, there),
    bucketWriter(t, bucket, there, { cacheBytes: 1 }),
  ])
  const small = await spool.store(storedMessage(), octets(500))
  const large = await spool.store(storedMessage(), octets(300_000))
  bucket.objects.counts.get = 0

  for (const locator of [small, large]) await (await neighbour.read(locator)).content()
  assert.equal(bucket.objects.counts.get, 0)

  for (const reader of [one, two, one, two]) {
    assert.deepEqual(await (await reader.read(small)).content(), octets(500))
    assert.deepEqual(await (await reader.read(large)).content(), octets(300_000))
  }
  assert.equal(bucket.objects.counts.get, 3)

  await two.volume.cache.trim(Date.now())
  const third = await bucketWriter(t, bucket, there)
  assert.deepEqual(await (await third.read(large)).content(), octets(300_000))
  assert.ok(bucket.objects.counts.get > 3)
})

test('everything a killed process had acknowledged is there for another host, and is cleaned up when it is settled', async (t) => {
  const bucket = await testBucket(t)
  const { acknowledged, settled } = await stormUntilKilled(bucket, await temporaryHost(t), 600)
  assert.ok(acknowledged.length > 200 && settled.size > 50)
  const spool = await bucketWriter(t, bucket, await temporaryHost(t))
  const index = await LiveIndex.open(await bucketVolume(t, bucket), {
    onDamage: (damage) => assert.fail(JSON.stringify(damage)),
  })
  const outcomes = await spool.outcomesOf([...settled])
  for (const { id, locator, seed, length } of acknowledged) {
    assert.deepEqual(await (await spool.read(locator)).content(), octets(length, seed))
    if (!settled.has(id)) continue
    assert.equal(index.get(id), undefined)
    assert.equal(outcomes.get(id)?.length, 1)
  }
  assert.equal(index.counts().repeated, 0)

  bucket.objects.aheadMs += deadAfterMs
  for (let run = 0; run < 2; run += 1) await collectGarbage(index, { ...everything, clock: later })

  const again = await LiveIndex.open(await bucketVolume(t, bucket))
  assert.equal(again.size, index.size)
  for (const { id, locator, seed, length } of acknowledged) {
    if (again.get(id) === undefined) continue
    assert.deepEqual(await (await spool.read(locator)).content(), octets(length, seed))
  }
  const large = [...again.entries()].filter(({ locator }) => locator.sizeBytes > 20_000)
  assert.equal(bucket.objects.keys('octets/').length, large.length)
})

test('of a large content that is still coming in, or never ends, nothing is in the bucket', async (t) => {
  const bucket = await testBucket(t)
  const host = await temporaryHost(t)
  const spool = await bucketWriter(t, bucket, host)
  const incoming = spool.receive()
  await incoming.write(octets(300_000))
  await incoming.write(octets(300_000))
  assert.deepEqual(bucket.objects.keys('octets/'), [])
  bucket.objects.beforePut = () => {
    throw new Error('refused')
  }
  await assert.rejects(incoming.commit(storedMessage()), /cannot store octets/)
  assert.deepEqual(bucket.objects.keys('octets/'), [])
  assert.deepEqual(
    (await readdir(host)).filter((name) => /^\.[0-9a-f]{16}$/.test(name)),
    [],
  )
})

test('an object whose answer was lost may be delivered, but nothing else ever has its name', async (t) => {
  const bucket = await testBucket(t)
  const spool = await bucketWriter(t, bucket, await temporaryHost(t))
  const first = await spool.store(storedMessage(), octets(10))
  bucket.objects.afterPut = (key) => {
    if (key.includes('msg/')) throw new Error('the line is cut')
  }
  const lost = storedMessage()
  await assert.rejects(spool.store(lost, octets(20)), /cannot store msg\//)
  bucket.objects.afterPut = () => undefined
  const second = await spool.store(storedMessage(), octets(30))
  assert.match(first.segment, /000001\.msg$/)
  assert.match(second.segment, /000003\.msg$/)
  const index = await LiveIndex.open(await bucketVolume(t, bucket))
  const place = index.get(lost.envelope.id)?.locator
  assert.deepEqual(place && (await (await spool.read(place)).content()), octets(20))
  assert.deepEqual(await (await spool.read(second)).content(), octets(30))
})

test('an outcome whose answer was lost is never overwritten by the next one', async (t) => {
  const bucket = await testBucket(t)
  const spool = await bucketWriter(t, bucket, await temporaryHost(t))
  const ids = Array.from({ length: 3 }, () => storedMessage().envelope.id)
  await spool.settle([outcome(ids[0]!)])
  bucket.objects.afterPut = (key) => {
    if (key.includes('result/')) throw new Error('the line is cut')
  }
  await assert.rejects(spool.settle([outcome(ids[1]!)]))
  bucket.objects.afterPut = () => undefined
  await spool.settle([outcome(ids[2]!)])
  const other = await bucketWriter(t, bucket, await temporaryHost(t))
  const seen = await other.outcomesOf(ids)
  assert.deepEqual(
    ids.map((id) => seen.get(id)?.length),
    [1, 1, 1],
  )
})

test('a log of outcomes becomes one object while others follow it: none is missed and none is counted twice', async (t) => {
  const bucket = await testBucket(t)
  const outcomeLogs = { parts: 4, bytes: 1_000_000, partsStayMs: 0 }
  const spool = await bucketWriter(t, bucket, await temporaryHost(t), { outcomeLogs })
  const other = await bucketWriter(t, bucket, await temporaryHost(t), { outcomeLimit: 5 })
  const index = await LiveIndex.open(await bucketVolume(t, bucket))
  const ids: MessageId[] = []
  for (let count = 0; count < 30; count += 1) {
    const message = storedMessage()
    await spool.store(message, octets(10))
    await spool.settle([outcome(message.envelope.id)])
    ids.push(message.envelope.id)
    if (count % 3 > 0) continue
    await index.refresh()
    assert.equal((await other.outcomesOf(ids)).get(message.envelope.id)?.length, 1)
  }
  await spool.close()
  await index.refresh()
  assert.deepEqual([index.size, index.counts().repeated, index.counts().final.delivered], [0, 0, 30])
  const seen = await other.outcomesOf(ids)
  assert.deepEqual(
    [...seen.values()].map(({ length }) => length),
    ids.map(() => 1),
  )
  assert.equal(bucket.objects.keys('result/').length, 8)
})

test('parts that a killed process left beside the whole log are cleaned up', async (t) => {
  const bucket = await testBucket(t)
  const spool = await bucketWriter(t, bucket, await temporaryHost(t), {
    outcomeLogs: { parts: 3, bytes: 1_000_000, partsStayMs: 0 },
  })
  bucket.objects.beforeRemove = (key) => {
    if (key.includes('.out/')) throw new Error('killed here')
  }
  const message = storedMessage(3)
  await spool.store(message, octets(10))
  for (const recipient of [0, 1, 2]) await spool.settle([outcome(message.envelope.id, recipient)])
  await spool.close()
  bucket.objects.beforeRemove = () => undefined
  assert.equal(bucket.objects.keys('result/').length, 4)

  const index = await LiveIndex.open(await bucketVolume(t, bucket))
  assert.deepEqual([index.size, index.counts().repeated], [0, 0])
  await collectGarbage(index, { ...everything, outcomesMs: 1e9, clock: later })
  assert.equal(bucket.objects.keys('result/').length, 4, 'somebody may be reading them')
  bucket.objects.aheadMs += partsStayMs + 3_000
  await collectGarbage(index, { ...everything, outcomesMs: 1e9, clock: later })
  assert.equal(bucket.objects.keys('result/').length, 1)
})

test('parts of a log whose deletion was stopped halfway are cleaned up', async (t) => {
  const bucket = await testBucket(t)
  const spool = await bucketWriter(t, bucket, await temporaryHost(t), { logAgeMs: 1e9 })
  const message = storedMessage(3)
  for (const recipient of [0, 1, 2]) await spool.settle([outcome(message.envelope.id, recipient)])
  const [first = '', second = '', third = ''] = bucket.objects.keys('result/')
  bucket.objects.kept.delete(`spool/${first}`)
  const index = await LiveIndex.open(await bucketVolume(t, bucket))
  const clean = () => collectGarbage(index, { ...everything, outcomesMs: 1e9, clock: later })
  await clean()
  assert.deepEqual(bucket.objects.keys('result/'), [second, third], 'a listing may have come late')
  const { kept } = bucket.objects
  for (const [key, object] of kept) kept.set(key, { ...object, at: object.at - 3_700_000 })
  await clean()
  assert.deepEqual(bucket.objects.keys('result/'), [])
})

test('listings that come late lose nothing: what was stored is read by its place, and what is young is not cleaned up', async (t) => {
  const bucket = await testBucket(t)
  bucket.objects.listingsBehind = 5
  const spool = await bucketWriter(t, bucket, await temporaryHost(t))
  const index = await LiveIndex.open(await bucketVolume(t, bucket))
  const message = storedMessage()
  const locator = await spool.store(message, octets(300_000))
  await collectGarbage(index, { ...everything, unfinishedMs: 3_600_000 })
  const other = await bucketWriter(t, bucket, await temporaryHost(t))
  assert.deepEqual(await (await other.read(locator)).content(), octets(300_000))
  for (let look = 0; look < 5; look += 1) await index.refresh()
  assert.deepEqual(index.get(message.envelope.id)?.locator, locator)
})

test('a writer whose heartbeat came too late is over, and does not come back to life', async (t) => {
  const bucket = await testBucket(t)
  const store = await storeOf(bucket)
  t.after(() => store.close())
  const writer = await BucketWriter.create(store, 'test')
  await writer.beat()
  assert.equal(writer.isOver, false)

  bucket.objects.aheadMs += leaseMs + 1_000
  const volume = await bucketVolume(t, bucket)
  await volume.list()
  assert.equal(await volume.isWriterAlive(writer.name), true)
  bucket.objects.aheadMs += deadAfterMs - leaseMs
  await volume.list()
  assert.equal(await volume.isWriterAlive(writer.name), false)

  await declareDead(store, writer.name)
  await writer.beat()
  assert.equal(writer.isOver, true)
  const { writers } = await volume.list()
  assert.deepEqual(
    writers.map(({ hasAlive }) => hasAlive),
    [false],
  )
})

test('what the store refuses is told with what to do about it', async (t) => {
  const { address } = await testBucket(t)
  const wrong = { accessKeyId: 'SOMEBODY', secretAccessKey: 'S3RVER' }
  const cases = [
    [{ ...address, bucket: 'missing' }, /make the bucket, or mend its name/],
    [{ ...address, credentials: wrong }, /mend AWS_ACCESS_KEY_ID/],
    [{ ...address, endpoint: 'http://127.0.0.1:1' }, /ECONNREFUSED/],
  ] as const
  for (const [tried, told] of cases) {
    const store = await openS3Store(tried)
    await assert.rejects(store.list(''), told, String(told))
    store.close()
  }
})

interface Acknowledged {
  readonly id: MessageId
  readonly locator: Locator
  readonly seed: number
  readonly length: number
}

async function stormUntilKilled(
  { address }: TestBucket,
  cachePath: string,
  lines: number,
): Promise<{ readonly acknowledged: readonly Acknowledged[]; readonly settled: ReadonlySet<MessageId> }> {
  const script = join(import.meta.dirname, 'storm.child.ts')
  const child = spawn(process.execPath, ['--import', 'tsx', script, JSON.stringify(address), cachePath], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const exited = once(child, 'exit')
  const acknowledged: Acknowledged[] = []
  const settled = new Set<MessageId>()
  let count = 0
  for await (const line of createInterface({ input: child.stdout })) {
    count += 1
    if (count === lines) child.kill('SIGKILL')
    if (!line.endsWith('}')) continue
    const said = JSON.parse(line) as Acknowledged | { readonly settled: MessageId }
    if ('settled' in said) settled.add(said.settled)
    else acknowledged.push(said)
  }
  const [, signal] = (await exited) as [number | null, string | null]
  assert.equal(signal, 'SIGKILL')
  return { acknowledged, settled }
}
