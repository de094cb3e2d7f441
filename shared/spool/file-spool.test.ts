import assert from 'node:assert/strict'
import { open, readdir, rename, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import fc from 'fast-check'

import { openSpool } from './file-spool.ts'
import { LiveIndex } from './live-index.ts'
import { findMessage, listMessages } from './list-messages.ts'
import { SpoolReadError } from './spool.ts'
import type { FileSpool } from './file-spool.ts'
import type { Locator, SpooledMessage, StoredMessage } from './spool.ts'
import { octets, outcome, storedMessage, temporarySpool, writer } from './test-support.ts'

const threshold = 2_000

test('what was stored is read again octet by octet, by the same and by another process, in memory or in a file of its own', async (t) => {
  const path = await temporarySpool(t)
  const spool = await writer(t, path, { streamThresholdBytes: threshold, segmentBytes: 20_000 })
  const other = await writer(t, path)
  const length = fc.oneof(fc.nat(50), fc.integer({ min: threshold - 2, max: threshold + 2 }), fc.nat(3 * threshold))
  const mail = fc.record({ headers: fc.nat(40), length, chunkBytes: fc.integer({ min: 1, max: 1500 }), seed: fc.nat() })
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
    { numRuns: 40 },
  )
})

test('a spool that is opened again lists the same messages with the same places', async (t) => {
  const path = await temporarySpool(t)
  const spool = await openSpool({ path, writer: 'first', reserveBytes: 0, streamThresholdBytes: threshold })
  const messages = Array.from({ length: 50 }, () => storedMessage(2))
  const locators = await Promise.all(messages.map((one, index) => spool.store(one, octets(index * 100, index))))
  await spool.settle([outcome(messages[0]!.envelope.id, 0), outcome(messages[0]!.envelope.id, 1, 'failed')])
  await spool.settle([outcome(messages[1]!.envelope.id, 1, 'relayed')])
  await spool.close()

  const listed = new Map((await listMessages(path)).map((one) => [one.id, one]))

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
    const found = await findMessage(path, envelope.id)
    assert.deepEqual(await found?.content(), octets(index * 100, index))
  }
  assert.equal(await findMessage(path, storedMessage().envelope.id), undefined)
})

test('content that is given up leaves nothing behind', async (t) => {
  const path = await temporarySpool(t)
  const spool = await writer(t, path, { streamThresholdBytes: threshold })
  for (const length of [10, threshold, threshold + 1, 10 * threshold]) {
    const incoming = spool.receive()
    for (let sent = 0; sent < length; sent += 500) await incoming.write(octets(Math.min(500, length - sent)))
    await incoming.abort()
    await incoming.abort()
    assert.throws(() => incoming.write(octets(1)))
    await assert.rejects(incoming.commit(storedMessage()))
  }
  const files = await readdir(path, { recursive: true })
  assert.deepEqual(
    files.filter((file) => /\.(msg|big)$/.test(file)),
    [],
  )
})

test('a stream may begin anywhere, and a damaged content never passes as whole', async (t) => {
  const path = await temporarySpool(t)
  const spool = await writer(t, path, { streamThresholdBytes: threshold })
  const content = Buffer.concat([Buffer.from('A: b\r\n\r\n'), octets(300_000)])
  const locator = await spool.store(storedMessage(), content)
  const message = await spool.read(locator)
  for (const start of [0, 3, 8, 9, 150_000, content.length]) {
    assert.deepEqual(Buffer.concat(await message.stream(start).toArray()), content.subarray(start))
  }
  const big = (await readdir(path, { recursive: true })).find((file) => file.endsWith('.big')) ?? ''
  await overwrite(join(path, big), 200_000, Buffer.from([(content[200_000] ?? 0) ^ 1]))
  await assert.rejects(message.content(), SpoolReadError)
  await assert.rejects(message.stream().toArray(), SpoolReadError)
  await assert.rejects(message.stream(8).toArray(), SpoolReadError)
  assert.deepEqual(await message.header(), content.subarray(0, 8))
  await truncate(join(path, big), 100)
  await assert.rejects(message.stream(9).toArray(), SpoolReadError)
})

test('a locator that is wrong, damaged or leads out of the spool is refused', async (t) => {
  const path = await temporarySpool(t)
  const spool = await writer(t, path)
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
  await overwrite(join(path, locator.segment), locator.recordBytes - 1, Buffer.from([0, 0]))
  await assert.rejects(spool.read(locator), SpoolReadError)
})

test('an outcome that is on disk is seen by every process, also when its writer is gone', async (t) => {
  const path = await temporarySpool(t)
  const one = await writer(t, path)
  const other = await writer(t, path, { outcomeLimit: 10 })
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
  const third = await writer(t, path)
  const all = await third.outcomesOf(ids)
  assert.equal(all.size, 60)
  for (const outcomes of all.values()) assert.equal(outcomes.length, 2)
  assert.deepEqual(seenReply(all.get(ids[0]!)), { code: 250, enhanced: '2.0.0', text: 'ok' })
  assert.deepEqual((await third.outcomesOf([storedMessage().envelope.id])).size, 1)
})

test('a writer that was declared dead acknowledges nothing and goes on in a new folder', async (t) => {
  const path = await temporarySpool(t)
  const spool = await writer(t, path, { streamThresholdBytes: threshold })
  const first = await spool.store(storedMessage(), octets(10))
  const folder = join(path, first.segment.split('/')[0] ?? '')
  const large = spool.receive()
  await large.write(octets(2 * threshold))
  await rename(join(folder, 'alive'), join(folder, 'dead'))

  await assert.rejects(spool.store(storedMessage(), octets(10)), /declared the writer/)
  await assert.rejects(large.commit(storedMessage()))
  const second = await spool.store(storedMessage(), octets(10, 2))

  assert.notEqual(second.segment.split('/')[0], first.segment.split('/')[0])
  assert.deepEqual(await (await spool.read(second)).content(), octets(10, 2))
  assert.deepEqual(await (await spool.read(first)).content(), octets(10))
})

test('closing waits for what is being written: whatever was acknowledged is on disk', async (t) => {
  const path = await temporarySpool(t)
  const spool = await openSpool({ path, writer: 'test', reserveBytes: 0 })
  await spool.store(storedMessage(), octets(100))
  const stores = Array.from({ length: 50 }, () => spool.store(storedMessage(), octets(100)))
  await stores[0]
  const late = spool.receive()
  const closing = spool.close()
  const acknowledged = (await Promise.allSettled(stores)).filter(({ status }) => status === 'fulfilled')
  await closing
  assert.equal((await LiveIndex.open(path)).size, 1 + acknowledged.length)
  assert.throws(() => spool.receive())
  await assert.rejects(late.commit(storedMessage()))
})

async function receive(
  spool: FileSpool,
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

function seenReply(outcomes: readonly { readonly kind: string; readonly reply?: object }[] | undefined): unknown {
  return outcomes?.find(({ kind }) => kind === 'delivered')?.reply
}

async function overwrite(path: string, position: number, bytes: Buffer): Promise<void> {
  const file = await open(path, 'r+')
  await file.write(bytes, 0, bytes.length, position)
  await file.close()
}
