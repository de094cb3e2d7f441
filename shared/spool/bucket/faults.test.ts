import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'

import { collectGarbage } from '../garbage.ts'
import { Keyring } from '../keyring.ts'
import { LiveIndex } from '../live-index.ts'
import { octets, outcome, storedMessage } from '../test-support.ts'
import { keyOf } from './keys.ts'
import { bucketVolume, bucketWriter, temporaryHost, testBucket } from './testing.ts'

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

/** As a disk that was full, or one that forgets, leaves it. */
async function keepFile(cachePath: string, file: string, content: Buffer): Promise<void> {
  await mkdir(join(cachePath, dirname(file)), { recursive: true })
  await writeFile(join(cachePath, file), content)
}
