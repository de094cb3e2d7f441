import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { test } from 'node:test'

import { collectGarbage } from '../garbage.ts'
import { Keyring } from '../keyring.ts'
import { LiveIndex } from '../live-index.ts'
import { octets, outcome, storedMessage } from '../test-support.ts'
import { keyOf } from './keys.ts'
import { openS3Store } from './s3-store.ts'
import { bucketVolume, bucketWriter, storeOf, temporaryHost, testBucket, testCredentials } from './testing.ts'

const everything = { olderThanMs: 0, relocateAfterMs: 0, outcomesMs: 0, unfinishedMs: 0 }
const later = { now: () => Date.now() + 10_000 }

test('a file of the cache that is not whole hides no message: the object is fetched again', async (t) => {
  const bucket = await testBucket(t)
  const spool = await bucketWriter(t, bucket, await temporaryHost(t))
  const messages = [storedMessage(), storedMessage()]
  const [first, second] = await Promise.all(messages.map((message) => spool.store(message, octets(500))))
  assert.equal(first?.segment, second?.segment)
  await spool.settle([outcome(messages[0]!.envelope.id)])

  const volume = await bucketVolume(t, bucket)
  const { content } = bucket.objects.kept.get(`spool/${keyOf(first!.segment)}`)!
  await keepFile(volume.cache.path, first!.segment, content.subarray(0, second!.offset + 100))
  const index = await LiveIndex.open(volume)
  assert.deepEqual(
    [...index.entries()].map(({ id }) => id),
    [messages[1]!.envelope.id],
  )
  await collectGarbage(index, { ...everything, clock: later })
  assert.deepEqual(await (await spool.read(second!)).content(), octets(500))
})

for (const encryption of [false, true]) {
  const name = encryption ? 'encrypted' : 'plain'
  test(`a ${name} message whose copy in the cache is damaged is read from the bucket`, async (t) => {
    const bucket = await testBucket(t)
    const keyring = { keyring: new Keyring([Buffer.alloc(32, 1)]), encryption }
    const spool = await bucketWriter(t, bucket, await temporaryHost(t), keyring)
    const small = await spool.store(storedMessage(), octets(500))
    const large = await spool.store(storedMessage(), octets(300_000))
    const reader = await bucketWriter(t, bucket, await temporaryHost(t), keyring)
    for (const locator of [small, large]) {
      const { content } = bucket.objects.kept.get(`spool/${keyOf(locator.segment)}`)!
      const changed = Buffer.from(content)
      changed.writeUInt8(changed.readUInt8(changed.length - 1) ^ 1, changed.length - 1)
      await keepFile(reader.volume.cache.path, locator.segment, changed)
    }
    assert.deepEqual(await (await reader.read(small)).content(), octets(500))

    const [key = ''] = bucket.objects.keys('octets/')
    const { content } = bucket.objects.kept.get(`spool/${key}`)!
    await keepFile(reader.volume.cache.path, key.replace('octets/', ''), content.subarray(0, 250_000))
    const message = await reader.read(large)
    await assert.rejects(message.content(), /is damaged/)
    assert.deepEqual(await message.content(), octets(300_000), 'at the next attempt')
  })
}

test('a ledger whose clock is hours ahead of the store deletes no content that waits for its record', async (t) => {
  const bucket = await testBucket(t)
  const clock = { now: () => Date.now() + 7_200_000 }
  const spool = await bucketWriter(t, bucket, await temporaryHost(t))
  const incoming = spool.receive()
  await incoming.write(octets(300_000))
  const message = storedMessage()
  await incoming.draft(message)
  const index = await LiveIndex.open(await bucketVolume(t, bucket, { clock }))
  await collectGarbage(index, { olderThanMs: 60_000, clock })
  const locator = await incoming.commit(message)
  const other = await bucketWriter(t, bucket, await temporaryHost(t))
  assert.deepEqual(await (await other.read(locator)).content(), octets(300_000))
})

test('a writer keeps its lease while the store is slow with what is not urgent', { timeout: 60_000 }, async (t) => {
  const bucket = await testBucket(t)
  let letGo = (): void => undefined
  const held = new Promise<void>((resolve) => {
    letGo = resolve
  })
  t.after(() => letGo())
  const beats = new EventEmitter()
  bucket.objects.beforePut = (key) => {
    if (key.endsWith('.out')) return held
    if (key.includes('writers/alive/')) beats.emit('beat')
    return undefined
  }
  const outcomeLogs = { parts: 2, bytes: 1_000_000, partsStayMs: 0 }
  const spool = await bucketWriter(t, bucket, await temporaryHost(t), { outcomeLogs, heartbeatMs: 20 })
  const message = storedMessage(2)
  await spool.store(message, octets(10))
  for (const recipient of [0, 1]) await spool.settle([outcome(message.envelope.id, recipient)])
  for (let beat = 0; beat < 5; beat += 1) await once(beats, 'beat')
  letGo()
})

test('content that a store cannot take takes nothing from the quota, and its own trouble is told', async (t) => {
  const bucket = await testBucket(t)
  const { objects } = bucket
  const spool = await bucketWriter(t, bucket, await temporaryHost(t), { quotaBytes: 1_000_000 })
  const refuse = (): never => {
    throw new Error('not now')
  }
  for (const asked of [false, true]) {
    const incoming = spool.receive()
    await incoming.write(octets(600_000))
    if (asked) await incoming.draft(storedMessage())
    objects.beforePut = refuse
    objects.beforeRemove = refuse
    await assert.rejects(incoming.commit(storedMessage()), /cannot store/)
    objects.beforePut = () => undefined
    objects.beforeRemove = () => undefined
    for (const key of objects.kept.keys()) if (!key.includes('writers/')) objects.kept.delete(key)
  }
  await spool.store(storedMessage(), octets(600_000))
})

test('a file that vanished while it was to be put is an error of that message, and of nothing else', async (t) => {
  const bucket = await testBucket(t)
  const store = await storeOf(bucket)
  t.after(() => store.close())
  const path = join(await temporaryHost(t), 'gone')
  await assert.rejects(store.put('octets/gone', { path, size: 300_000 }), /ENOENT/)
  assert.deepEqual(bucket.objects.keys('octets/'), [])
})

test('a listing that breaks off is an error, and not the end of it', async (t) => {
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'application/xml')
    response.end('<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const endpoint = `http://127.0.0.1:${port}`
  const store = await openS3Store({
    endpoint,
    bucket: 'mail',
    prefix: '',
    region: 'us-east-1',
    credentials: testCredentials,
  })
  t.after(() => {
    store.close()
    server.closeAllConnections()
    server.close()
  })
  await assert.rejects(store.list(''), /a listing breaks off/)
})

/** As a disk that was full, or one that forgets, leaves it. */
async function keepFile(cachePath: string, file: string, content: Buffer): Promise<void> {
  await mkdir(join(cachePath, dirname(file)), { recursive: true })
  await writeFile(join(cachePath, file), content)
}
