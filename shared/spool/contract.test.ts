import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import fc from 'fast-check'

import { leaseMs } from './bucket/bucket-writer.ts'
import { bucketVolume, bucketWriter, temporaryHost, testBucket } from './bucket/testing.ts'
import { openSpool } from './file-spool.ts'
import { FolderVolume } from './folder-volume.ts'
import { collectGarbage } from './garbage.ts'
import { Keyring, SpoolKeyError } from './keyring.ts'
import { findMessage, listMessages } from './list-messages.ts'
import { LiveIndex } from './live-index.ts'
import { SpoolFullError, SpoolReadError } from './spool.ts'
import type { Locator, SpooledMessage, StoredMessage } from './spool.ts'
import { octets, outcome, storedMessage, temporarySpool } from './test-support.ts'
import type { OpenedSpool, SpoolVolume } from './volume.ts'

/** What every spool promises, wherever it lies. */
interface Options {
  readonly compression?: boolean
  readonly encryption?: boolean
  readonly keyring?: Keyring
  readonly quotaBytes?: number
  readonly outcomeLimit?: number
  /** Of a bucket. */
  readonly heartbeatMs?: number
}

interface World {
  /** A writer; in a bucket each on a host of its own. */
  open(options?: Options): Promise<OpenedSpool>
  /** Of somebody who only reads, and keeps nothing yet. */
  volume(): Promise<SpoolVolume>
  /** What lies there of these kinds. */
  files(extensions: RegExp): Promise<readonly string[]>
  /** Others may take over what this writer has. */
  declareDead(writer: string): Promise<void>
  /** Everything so far was written this long ago. */
  readonly later: number
}

const streamThresholdBytes = 2_000

const drivers: Readonly<Record<string, (t: TestContext) => Promise<World>>> = {
  files: async (t) => {
    const path = await temporarySpool(t)
    return {
      async open(options) {
        const spool = await openSpool({ path, writer: 'test', reserveBytes: 0, streamThresholdBytes, ...options })
        t.after(() => spool.close())
        return spool
      },
      volume: async () => new FolderVolume(path),
      files: (extensions) => filesIn(new FolderVolume(path), extensions),
      declareDead: (writer) => rename(join(path, writer, 'alive'), join(path, writer, 'dead')),
      later: 10_000,
    }
  },
  bucket: async (t) => {
    const bucket = await testBucket(t)
    return {
      open: async (options) => bucketWriter(t, bucket, await temporaryHost(t), { streamThresholdBytes, ...options }),
      volume: () => bucketVolume(t, bucket),
      files: async (extensions) => filesIn(await bucketVolume(t, bucket), extensions),
      declareDead: async () => {
        bucket.objects.aheadMs += leaseMs
      },
      later: 10_000,
    }
  },
}

async function filesIn(volume: SpoolVolume, extensions: RegExp): Promise<readonly string[]> {
  const { writers } = await volume.list()
  return writers.flatMap(({ files }) => files.map(({ extension }) => extension)).filter((one) => extensions.test(one))
}

for (const [driver, worldOf] of Object.entries(drivers)) {
  const key = new Keyring([randomBytes(32)])
  const ways: Readonly<Record<string, Options>> = {
    'as it is': {},
    compressed: { compression: true },
    'compressed and encrypted': { compression: true, encryption: true, keyring: key },
  }
  for (const [way, options] of Object.entries(ways)) {
    test(`${driver}: what was stored ${way} is read again octet by octet, by the same and by another process`, async (t) => {
      const world = await worldOf(t)
      const spool = await world.open(options)
      const other = await world.open(options)
      const length = fc.oneof(
        fc.nat(50),
        fc.integer({ min: streamThresholdBytes - 2, max: streamThresholdBytes + 2 }),
        fc.nat(3 * streamThresholdBytes),
      )
      const mail = fc.record({
        headers: fc.nat(40),
        length,
        chunkBytes: fc.integer({ min: 1, max: 1500 }),
        seed: fc.nat(),
      })
      await fc.assert(
        fc.asyncProperty(fc.array(mail, { maxLength: 12 }), async (mails) => {
          const stored = await Promise.all(
            mails.map(async ({ headers, length, chunkBytes, seed }) => {
              const header = headers === 0 ? '' : `X: ${'h'.repeat(headers)}\r\n\r\n`
              const content = Buffer.concat([Buffer.from(header), octets(length, seed)])
              const message = storedMessage()
              return { message, content, header, locator: await receive(spool, message, content, chunkBytes) }
            }),
          )
          for (const { message, content, header, locator } of stored) {
            assert.equal(locator.sizeBytes, content.length)
            if (header !== '') assert.equal(locator.headerBytes, header.length)
            for (const reader of [spool, other]) await assertReads(await reader.read(locator), message, content)
          }
        }),
        { numRuns: 15 },
      )
    })
  }

  test(`${driver}: a spool that is opened again lists the same messages with the same places`, async (t) => {
    const world = await worldOf(t)
    const spool = await world.open()
    const messages = Array.from({ length: 50 }, () => storedMessage(2))
    const locators = await Promise.all(messages.map((one, index) => spool.store(one, octets(index * 100, index))))
    await spool.settle([outcome(messages[0]!.envelope.id, 0), outcome(messages[0]!.envelope.id, 1, 'failed')])
    await spool.settle([outcome(messages[1]!.envelope.id, 1, 'relayed')])
    await spool.close()

    const volume = await world.volume()
    const listed = new Map((await listMessages(volume)).map((one) => [one.id, one]))

    assert.equal(listed.size, 49)
    for (const [index, { envelope }] of messages.entries()) {
      if (index === 0) continue
      assert.deepEqual(listed.get(envelope.id), {
        id: envelope.id,
        locator: locators[index],
        receivedAt: envelope.receivedAt,
        pending: index === 1 ? [0] : [0, 1],
        held: [],
      })
      if (index % 10 > 0) continue
      const found = await findMessage(volume, envelope.id)
      assert.deepEqual(await found?.content(), octets(index * 100, index))
    }
    assert.equal(await findMessage(volume, storedMessage().envelope.id), undefined)
  })

  test(`${driver}: content that is given up leaves nothing behind`, async (t) => {
    const world = await worldOf(t)
    const spool = await world.open()
    for (const length of [10, streamThresholdBytes, streamThresholdBytes + 1, 10 * streamThresholdBytes]) {
      const incoming = spool.receive()
      for (let sent = 0; sent < length; sent += 500) await incoming.write(octets(Math.min(500, length - sent)))
      if (length > streamThresholdBytes) await incoming.draft(storedMessage())
      await incoming.abort()
      await incoming.abort()
      assert.throws(() => incoming.write(octets(1)))
      await assert.rejects(incoming.commit(storedMessage()))
    }
    assert.deepEqual(await world.files(/msg|big|draft/), [])
  })

  test(`${driver}: others read a draft while somebody waits, and it is in no index`, async (t) => {
    const world = await worldOf(t)
    const spool = await world.open()
    const other = await world.open()
    for (const length of [100, 3 * streamThresholdBytes]) {
      const message = storedMessage()
      const incoming = spool.receive()
      await incoming.write(octets(length))
      const draft = await incoming.draft(message)
      await assertReads(await other.read(draft), message, octets(length))
      const before = await LiveIndex.open(await world.volume())
      assert.equal(before.get(message.envelope.id), undefined)
      const locator = await incoming.commit(message)
      await assertReads(await other.read(locator), message, octets(length))
    }
  })

  test(`${driver}: a stream may begin anywhere`, async (t) => {
    const world = await worldOf(t)
    const spool = await world.open()
    const other = await world.open()
    const content = Buffer.concat([Buffer.from('A: b\r\n\r\n'), octets(300_000)])
    const message = await other.read(await spool.store(storedMessage(), content))
    for (const start of [0, 3, 8, 9, 150_000, content.length]) {
      assert.deepEqual(Buffer.concat(await message.stream(start).toArray()), content.subarray(start))
    }
  })

  test(`${driver}: a locator that is wrong or leads out of the spool is refused`, async (t) => {
    const world = await worldOf(t)
    const spool = await world.open()
    const locator = await spool.store(storedMessage(), octets(500))
    const wrong: readonly Partial<Locator>[] = [
      { offset: 1 },
      { recordBytes: locator.recordBytes - 1 },
      { recordBytes: 3 },
      { offset: 100_000 },
      { segment: locator.segment.replace('000001', '000009') },
      { segment: '../../etc/passwd' },
      { segment: locator.segment.replace('.msg', '.big') },
    ]
    for (const change of wrong) await assert.rejects(spool.read({ ...locator, ...change }), SpoolReadError)
  })

  test(`${driver}: an outcome that is stored is seen by every process, also when its writer is gone`, async (t) => {
    const world = await worldOf(t)
    const one = await world.open()
    const other = await world.open({ outcomeLimit: 10 })
    const ids = Array.from({ length: 60 }, () => storedMessage().envelope.id)
    for (const [index, id] of ids.entries()) {
      const settling = index % 2 === 0 ? one : other
      await settling.settle([outcome(id, 0, 'held', 1_000_000 + Date.now()), outcome(id, 1)])
      for (const reader of [one, other]) {
        const seen = (await reader.outcomesOf([id])).get(id)
        assert.deepEqual(
          seen?.map(({ recipient, kind }) => [recipient, kind]),
          [
            [1, 'delivered'],
            [0, 'held'],
          ],
        )
      }
    }
    await one.close()
    const third = await world.open()
    const all = await third.outcomesOf(ids)
    assert.equal(all.size, 60)
    for (const outcomes of all.values()) assert.equal(outcomes.length, 2)
    const reply = all.get(ids[0]!)?.find(({ kind }) => kind === 'delivered')?.reply
    assert.deepEqual(reply, { code: 250, enhanced: '2.0.0', text: 'ok' })
    assert.deepEqual((await third.outcomesOf([storedMessage().envelope.id])).size, 1)
  })

  test(`${driver}: a writer that was declared dead acknowledges nothing and goes on as a new one`, async (t) => {
    const world = await worldOf(t)
    // None in between: after one that came too late it is a new writer without a word.
    const spool = await world.open({ heartbeatMs: 3_600_000 })
    const first = await spool.store(storedMessage(), octets(10))
    const large = spool.receive()
    await large.write(octets(2 * streamThresholdBytes))
    await world.declareDead(first.segment.split('/')[0] ?? '')

    await assert.rejects(spool.store(storedMessage(), octets(10)), /declared the writer/)
    await assert.rejects(large.commit(storedMessage()))
    const second = await spool.store(storedMessage(), octets(10, 2))

    assert.notEqual(second.segment.split('/')[0], first.segment.split('/')[0])
    assert.deepEqual(await (await spool.read(second)).content(), octets(10, 2))
    assert.deepEqual(await (await spool.read(first)).content(), octets(10))
  })

  test(`${driver}: closing waits for what is being written: whatever was acknowledged is there`, async (t) => {
    const world = await worldOf(t)
    const spool = await world.open()
    await spool.store(storedMessage(), octets(100))
    const stores = Array.from({ length: 50 }, () => spool.store(storedMessage(), octets(100)))
    await stores[0]
    const late = spool.receive()
    const closing = spool.close()
    const acknowledged = (await Promise.allSettled(stores)).filter(({ status }) => status === 'fulfilled')
    await closing
    assert.equal((await LiveIndex.open(await world.volume())).size, 1 + acknowledged.length)
    assert.throws(() => spool.receive())
    await assert.rejects(late.commit(storedMessage()))
  })

  test(`${driver}: cleaning frees what is settled and keeps what is not, and its outcomes`, async (t) => {
    const world = await worldOf(t)
    const spool = await world.open()
    const messages = Array.from({ length: 40 }, () => storedMessage(2))
    const locators: Locator[] = []
    for (const [index, one] of messages.entries()) {
      locators.push(await spool.store(one, octets(index % 4 === 0 ? 3 * streamThresholdBytes : 100, index)))
    }
    const isLive = (index: number): boolean => index % 8 === 0
    for (const [index, { envelope }] of messages.entries()) {
      const recipients = isLive(index) ? [0] : [0, 1]
      await spool.settle(recipients.map((recipient) => outcome(envelope.id, recipient)))
    }
    await spool.close()

    const index = await LiveIndex.open(await world.volume())
    const clock = { now: () => Date.now() + world.later }
    const everything = { olderThanMs: 0, relocateAfterMs: 0, outcomesMs: 0, unfinishedMs: 0, clock }
    const first = await collectGarbage(index, everything)
    assert.ok(first.freedBytes > 0 && first.segments > 0 && first.largeFiles > 0)
    await collectGarbage(index, everything)

    const volume = await world.volume()
    const other = await world.open()
    const again = await LiveIndex.open(volume)
    const live = messages.flatMap(({ envelope }, at) => (isLive(at) ? [envelope.id] : []))
    assert.deepEqual([...again.entries()].map(({ id }) => id).sort(), [...live].sort())
    for (const [at, { envelope }] of messages.entries()) {
      if (!isLive(at)) continue
      assert.deepEqual(again.get(envelope.id)?.pending, [1])
      const locator = locators[at]!
      assert.deepEqual(await (await other.read(locator)).content(), octets(3 * streamThresholdBytes, at))
    }
    await other.settle(live.map((id) => outcome(id, 1)))
    await other.close()
    for (let run = 0; run < 3; run += 1) await collectGarbage(again, everything)
    assert.deepEqual(await world.files(/msg|big|draft|out/), [])
  })

  test(`${driver}: a start without a key that records need is refused, and nothing is lost`, async (t) => {
    const world = await worldOf(t)
    const spool = await world.open({ encryption: true, keyring: key })
    const locator = await spool.store(storedMessage(), octets(100))
    await spool.close()
    await assert.rejects(world.open(), SpoolKeyError)
    const again = await world.open({ keyring: key })
    assert.deepEqual(await (await again.read(locator)).content(), octets(100))
  })

  test(`${driver}: beyond the quota new mail is refused, outcomes are not`, async (t) => {
    const world = await worldOf(t)
    const spool = await world.open({ quotaBytes: 50_000 })
    const message = storedMessage()
    await spool.store(message, octets(40_000))
    await assert.rejects(spool.store(storedMessage(), octets(20_000)), SpoolFullError)
    await spool.settle([outcome(message.envelope.id)])
    assert.ok((await spool.freeBytes()) < 20_000)
  })
}

async function receive(
  spool: OpenedSpool,
  message: StoredMessage,
  content: Buffer,
  chunkBytes: number,
): Promise<Locator> {
  const incoming = spool.receive()
  for (let start = 0; start < content.length; start += chunkBytes) {
    await incoming.write(content.subarray(start, start + chunkBytes))
  }
  return incoming.commit(message)
}

async function assertReads(read: SpooledMessage, message: StoredMessage, content: Buffer): Promise<void> {
  assert.deepEqual(read.envelope, message.envelope)
  assert.deepEqual(read.edits, message.edits)
  assert.equal(read.revision, message.revision)
  assert.deepEqual(await read.content(), content)
  assert.deepEqual(await read.header(), content.subarray(0, read.locator.headerBytes))
  const { headerBytes } = read.locator
  assert.deepEqual(Buffer.concat(await read.stream(headerBytes).toArray()), content.subarray(headerBytes))
}
