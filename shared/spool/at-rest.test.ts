import assert from 'node:assert/strict'
import { open, readFile, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { crc32 } from 'node:zlib'

import fc from 'fast-check'

import type { MessageId } from '../mail/message-id.ts'
import { openSpool } from './file-spool.ts'
import type { FileSpool, SpoolOptions } from './file-spool.ts'
import { decodeHead, headBytes, sealHead, segmentSeed, setChecksums } from './frame.ts'
import { collectGarbage } from './garbage.ts'
import { Keyring, SpoolKeyError, parseKeyFile } from './keyring.ts'
import { findMessage } from './list-messages.ts'
import { LiveIndex } from './live-index.ts'
import { SpoolReadError } from './spool.ts'
import type { Locator, OutcomeRecord } from './spool.ts'
import { octets, outcome, storedMessage, temporarySpool, writer } from './test-support.ts'

const threshold = 2_000
const keyring = ring(1)
const encrypted = { keyring, encryption: true, streamThresholdBytes: threshold }
const both = { ...encrypted, compression: true }
const modes: readonly (readonly [string, Partial<SpoolOptions>])[] = [
  ['compressed', { compression: true, streamThresholdBytes: threshold }],
  ['encrypted', encrypted],
  ['compressed and encrypted', both],
]

for (const [name, options] of modes) {
  test(`what is stored ${name} is read again octet by octet, by the same and by another process`, async (t) => {
    const path = await temporarySpool(t)
    const spool = await writer(t, path, { ...options, segmentBytes: 20_000 })
    const other = await writer(t, path, { keyring })
    const length = fc.oneof(fc.nat(50), fc.integer({ min: threshold - 2, max: threshold + 2 }), fc.nat(300_000))
    const mail = fc.record({
      length,
      chunkBytes: fc.integer({ min: 1, max: 70_000 }),
      seed: fc.nat(),
      text: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(mail, { maxLength: 6 }), fc.nat(300_000), async (mails, start) => {
        for (const { length: bytes, chunkBytes, seed, text } of mails) {
          const content = text ? wordy(bytes, seed) : octets(bytes, seed)
          const message = storedMessage()
          const locator = await receive(spool, message, content, Math.max(chunkBytes, bytes / 50))
          assert.equal(locator.sizeBytes, content.length)
          for (const reader of [spool, other]) {
            const read = await reader.read(locator)
            assert.deepEqual(read.envelope, message.envelope)
            assert.deepEqual(read.edits, message.edits)
            assert.deepEqual(await read.content(), content)
            assert.deepEqual(await read.header(), content.subarray(0, locator.headerBytes))
            assert.deepEqual(await drained(read.stream(start)), content.subarray(start))
            assert.deepEqual(await drained(read.stream(locator.headerBytes)), content.subarray(locator.headerBytes))
          }
        }
      }),
      { numRuns: 15 },
    )
  })

  test(`an index knows the places of records that are ${name}, and a log torn at any octet keeps all before`, async (t) => {
    const path = await temporarySpool(t)
    const spool = await writer(t, path, options)
    const locators: Locator[] = []
    for (const [seed, length] of [0, 30, 700, 3 * threshold].entries()) {
      locators.push(await spool.store(storedMessage(), wordy(length, seed)))
    }
    const index = await LiveIndex.open(path)
    assert.deepEqual(new Set([...index.entries()].map(({ locator }) => locator)), new Set(locators))
    await spool.close()
    const ends = locators.map(({ offset, recordBytes }) => offset + recordBytes)
    for (let length = ends.at(-1) ?? 0; length >= 0; length -= 1) {
      await truncate(join(path, locators[0]!.segment), length)
      const torn = await LiveIndex.open(path, { onDamage: (damage) => assert.fail(JSON.stringify(damage)) })
      assert.equal(torn.size, ends.filter((end) => end <= length).length)
    }
  })

  test(`one changed bit of what is ${name} is never read as something else`, async (t) => {
    const path = await temporarySpool(t)
    const spool = await writer(t, path, options)
    const contents = [wordy(900, 1), wordy(200_000, 2)]
    const locators = await Promise.all(contents.map((content) => spool.store(storedMessage(), content)))
    await spool.close()
    const reader = await writer(t, path, { keyring })
    const files = (await filesOf(path)).filter((file) => /\.(msg|big)$/.test(file))
    const place = fc.record({ file: fc.constantFrom(...files), at: fc.nat(1_000_000), bit: fc.nat(7) })
    await fc.assert(
      fc.asyncProperty(place, async ({ file, at, bit }) => {
        const offset = at % (await stat(join(path, file))).size
        await flip(join(path, file), offset, bit)
        try {
          for (const [index, locator] of locators.entries()) {
            const read = await readOrRefusal(reader, locator)
            if (read !== undefined) assert.deepEqual(read, contents[index])
          }
          const refused = await Promise.all(locators.map((locator) => readOrRefusal(reader, locator)))
          assert.ok(refused.includes(undefined), `${file} at ${offset}`)
        } finally {
          await flip(join(path, file), offset, bit)
        }
      }),
      { numRuns: 150 },
    )
  })

  test(`live messages that are ${name} are moved out of old segments, outcomes with them`, async (t) => {
    const path = await temporarySpool(t)
    const spool = await writer(t, path, { ...options, segmentBytes: 20_000 })
    const kept = storedMessage(2)
    const large = storedMessage()
    const content = wordy(300_000, 7)
    const places = [await spool.store(kept, wordy(100, 1)), await spool.store(large, content)]
    await spool.settle([outcome(kept.envelope.id, 0, 'failed')])
    for (let seed = 0; seed < 100; seed += 1) {
      const message = storedMessage()
      await spool.store(message, octets(1_000, seed))
      await spool.settle([outcome(message.envelope.id)])
    }
    await spool.close()
    const index = await LiveIndex.open(path)
    const clock = { now: () => Date.now() + 10_000 }
    const times = { olderThanMs: 0, relocateAfterMs: 0, outcomesMs: 0, unfinishedMs: 0, clock }
    const { relocated } = await collectGarbage(index, times)
    await collectGarbage(index, times)
    assert.equal(relocated, 2)
    const reader = await writer(t, path, { keyring })
    assert.deepEqual(await (await reader.read(places[0]!)).content(), wordy(100, 1))
    assert.deepEqual(await (await reader.read(places[1]!)).content(), content)
    const [failed] = (await reader.outcomesOf([kept.envelope.id])).get(kept.envelope.id) ?? []
    assert.deepEqual([failed?.kind, failed?.reply?.text], ['failed', 'ok'])
    assert.ok(!(await filesOf(path)).some((file) => file.startsWith('test-') && file.endsWith('.out')))
  })
}

test('nothing of content, addresses and replies stands in the files of an encrypted spool', async (t) => {
  const path = await temporarySpool(t)
  const spool = await writer(t, path, encrypted)
  const message = storedMessage()
  const text = Buffer.from('Subject: a plain secret\r\n\r\nmeet me at noon\r\n'.repeat(200))
  await spool.store(message, text.subarray(0, 900))
  await spool.store(message, text)
  const reply = { code: 550, enhanced: '5.1.1', text: 'no r0@example.org, meet me at noon' } as const
  const record: OutcomeRecord = { ...outcome(message.envelope.id), reply }
  await spool.settle([record])
  const all = await Promise.all((await filesOf(path)).map((file) => readFile(join(path, file))))
  assert.ok(all.length >= 4)
  for (const file of all) assert.doesNotMatch(file.toString('latin1'), /secret|noon|example\.org/)
  assert.deepEqual((await spool.outcomesOf([message.envelope.id])).get(message.envelope.id), [record])
})

test('what compresses is smaller on disk, and what does not is written as it is, in the schema of before', async (t) => {
  const path = await temporarySpool(t)
  const spool = await writer(t, path, { compression: true })
  const text = await spool.store(storedMessage(), wordy(9_000, 1))
  const noise = await spool.store(storedMessage(), octets(9_000))
  assert.ok(text.recordBytes < 4_000, String(text.recordBytes))
  const bytes = await readFile(join(path, noise.segment))
  assert.deepEqual([bytes[text.offset + 4], bytes[noise.offset + 4]], [2, 1])
})

test('encrypted records cannot change places, even with checksums that fit', async (t) => {
  const path = await temporarySpool(t)
  const spool = await writer(t, path, encrypted)
  const one = await spool.store(storedMessage(), octets(500, 1))
  const two = await spool.store(storedMessage(), octets(500, 2))
  assert.equal(one.recordBytes, two.recordBytes)
  const other = await writer(t, path, encrypted)
  const elsewhere = await other.store(storedMessage(), octets(500, 3))
  const file = join(path, one.segment)
  const bytes = await readFile(file)
  const [first, second] = [frameAt(bytes, one), frameAt(bytes, two)]
  const third = frameAt(await readFile(join(path, elsewhere.segment)), elsewhere)
  for (const [at, forged] of [
    [one, second],
    [two, first],
    [one, third],
  ] as const) {
    const copy = Buffer.from(bytes)
    reseal(forged, at.segment).copy(copy, at.offset)
    await writeFile(file, copy)
    await assert.rejects(spool.read(at), SpoolReadError)
  }
  const changed = Buffer.from(first)
  changed.writeUInt32LE(7, 32)
  sealHead(changed.subarray(0, headBytes), segmentSeed(one.segment), true)
  await overwrite(file, one.offset, changed)
  await assert.rejects(spool.read(one), SpoolReadError)
})

test('chunks of a large message cannot be left out, repeated, exchanged or taken from another message', async (t) => {
  const path = await temporarySpool(t)
  const spool = await writer(t, path, encrypted)
  const content = octets(500_000, 1)
  const locator = await spool.store(storedMessage(), content)
  await spool.store(storedMessage(), octets(500_000, 2))
  const [file, other] = (await filesOf(path)).filter((one) => one.endsWith('.big')).map((one) => join(path, one))
  const whole = await readFile(file!)
  const size = 128 * 1024 + 52
  const chunks = [0, 1, 2, 3].map((index) => whole.subarray(index * size, (index + 1) * size))
  const [a, b, c, d] = chunks as [Buffer, Buffer, Buffer, Buffer]
  const foreign = (await readFile(other!)).subarray(size, 2 * size)
  for (const forged of [
    [a, b, c],
    [a, c, b, d],
    [a, a, b, c, d],
    [b, c, d],
    [a, foreign, c, d],
    [],
    [a, b, c, d.subarray(9)],
  ]) {
    await writeFile(file!, Buffer.concat(forged))
    const read = await spool.read(locator)
    await assert.rejects(read.content(), SpoolReadError)
    await assert.rejects(drained(read.stream(1)), SpoolReadError)
  }
  await writeFile(file!, whole)
  assert.deepEqual(await (await spool.read(locator)).content(), content)
})

test('a large message whose record is encrypted takes no chunk in clear', async (t) => {
  const path = await temporarySpool(t)
  const spool = await writer(t, path, encrypted)
  const clear = await writer(t, path, { compression: true, streamThresholdBytes: threshold })
  const locator = await spool.store(storedMessage(), octets(5_000, 1))
  const inClear = await clear.store(storedMessage(), octets(5_000, 2))
  const bigOf = (one: Locator): string => join(path, one.segment.replace(/\.msg$/, '.big'))
  const chunk = await readFile(bigOf(inClear))
  const file = locator.segment.replace(/\.msg$/, '.big')
  chunk.writeUInt32LE(crc32(chunk.subarray(52), crc32(chunk.subarray(0, 48), crc32(`${file} 0`))), 48)
  await writeFile(bigOf(locator), chunk)
  await assert.rejects((await spool.read(locator)).content(), SpoolReadError)
})

test('records from before the switch, after it, and of each key in turn are read from one spool', async (t) => {
  const path = await temporarySpool(t)
  const stages: readonly Partial<SpoolOptions>[] = [
    {},
    { compression: true },
    { keyring: ring(1), encryption: true },
    { keyring: ring(2, 1), encryption: true, compression: true },
    { keyring: ring(1, 2), compression: true },
    { keyring: ring(2, 1) },
  ]
  const stored: { readonly locator: Locator; readonly seed: number; readonly id: MessageId }[] = []
  for (const [seed, options] of stages.entries()) {
    const spool = await openSpool({
      path,
      writer: 'test',
      reserveBytes: 0,
      streamThresholdBytes: threshold,
      ...options,
    })
    for (const length of [800, 9_000]) {
      const message = storedMessage()
      const locator = await spool.store(message, wordy(length, seed))
      stored.push({ locator, seed, id: message.envelope.id })
      await spool.settle([outcome(message.envelope.id, 0, 'held')])
    }
    for (const { locator, seed: of, id } of stored) {
      assert.deepEqual(await (await spool.read(locator)).content(), wordy(locator.sizeBytes, of))
      assert.equal((await spool.outcomesOf([id])).get(id)?.length, 1)
      assert.deepEqual((await findMessage(path, id, spool.keyring))?.locator, locator)
    }
    await spool.close()
  }
  assert.equal((await LiveIndex.open(path)).size, stored.length)
})

test('a spool that needs a key does not open without it, and loses nothing', async (t) => {
  const path = await temporarySpool(t)
  const spool = await writer(t, path, both)
  const message = storedMessage()
  const locator = await spool.store(message, wordy(500, 1))
  const running = await writer(t, path, { keyring })
  await spool.close()
  const options = { path, writer: 'test', reserveBytes: 0 }
  const id = keyring.first!.id
  await assert.rejects(openSpool(options), (error: unknown) => {
    return error instanceof SpoolKeyError && error.message.includes(id) && error.message.includes('no key was given')
  })
  await assert.rejects(openSpool({ ...options, keyring: ring(9), encryption: true }), SpoolKeyError)
  await assert.rejects(findMessage(path, message.envelope.id), SpoolKeyError)
  assert.deepEqual(await (await running.read(locator)).content(), wordy(500, 1))
})

test('a key is forgotten when no record needs it and nobody who has it is alive', async (t) => {
  const path = await temporarySpool(t)
  const spool = await writer(t, path, encrypted)
  const message = storedMessage()
  const { segment } = await spool.store(message, wordy(500, 1))
  const living = await openSpool({ path, writer: 'living', reserveBytes: 0, keyring })
  await spool.close()
  await rm(join(path, segment))
  const next = { path, writer: 'test', reserveBytes: 0, keyring: ring(2), encryption: true }
  await (await openSpool(next)).close()
  assert.equal((await readdir(join(path, 'keys'))).length, 2)
  await living.close()
  await (await openSpool(next)).close()
  assert.deepEqual(await readdir(join(path, 'keys')), [ring(2).first?.id])
})

test('an outcome that was changed is reported and left out', async (t) => {
  const path = await temporarySpool(t)
  const spool = await writer(t, path, encrypted)
  const { id } = storedMessage().envelope
  await spool.settle([outcome(id, 0)])
  await spool.close()
  const log = (await filesOf(path)).find((file) => file.endsWith('.out')) ?? ''
  const bytes = await readFile(join(path, log))
  const head = decodeHead(bytes, segmentSeed(log))!
  bytes[headBytes + 50] = (bytes[headBytes + 50] ?? 0) ^ 1
  const meta = bytes.subarray(headBytes, headBytes + head.metaBytes)
  setChecksums(bytes, crc32(meta), head.bodyCrc)
  sealHead(bytes.subarray(0, headBytes), segmentSeed(log), true)
  await writeFile(join(path, log), bytes)
  const damages: string[] = []
  const reader = await writer(t, path, { keyring, onDamage: ({ reason }) => damages.push(reason) })
  assert.deepEqual((await reader.outcomesOf([id])).get(id), [])
  assert.deepEqual(damages, ['not as it was encrypted'])
})

test('small records cost no further write when they are encrypted', async (t) => {
  const path = await temporarySpool(t)
  const spool = await writer(t, path, both)
  await spool.store(storedMessage(), wordy(10, 1))
  const [locator] = await Promise.all(
    Array.from({ length: 200 }, (_, seed) => spool.store(storedMessage(), wordy(900, seed))),
  )
  const bytes = await readFile(join(path, locator!.segment))
  let groups = 0
  for (let offset = 0; offset < bytes.length;) {
    const head = decodeHead(bytes.subarray(offset), segmentSeed(locator!.segment))!
    if (head.startsGroup) groups += 1
    offset += headBytes + head.metaBytes + head.contentBytes
  }
  assert.ok(groups <= 4, `${groups} writes`)
})

test('a key file holds a key a line, the first one writes; what is no key is named by its line, never by its text', () => {
  const hex = 'a0'.repeat(32)
  const characters = '0123456789abcdef0123456789abcdef'
  const keys = parseKeyFile(`# of 2026\n${hex}\n\n  ${characters}  \n`)
  assert.deepEqual(keys, [Buffer.from(hex, 'hex'), Buffer.from(characters)])
  for (const text of ['', '# only a comment\n', `${hex}\nshort-secret\n`, `${hex}00`]) {
    assert.throws(
      () => parseKeyFile(text),
      (error) => error instanceof RangeError && !error.message.includes('short-secret') && /no key/.test(error.message),
    )
  }
})

function ring(...keys: readonly number[]): Keyring {
  return new Keyring(keys.map((key) => Buffer.alloc(32, key)))
}

/** Text that compresses. */
function wordy(length: number, seed: number): Buffer {
  const line = `Subject: number ${seed}\r\n\r\n${'the quick brown fox jumps over the lazy dog\r\n'.repeat(20)}`
  return Buffer.from(line.repeat(Math.ceil(length / line.length)).slice(0, length))
}

async function receive(
  spool: FileSpool,
  message: ReturnType<typeof storedMessage>,
  content: Buffer,
  chunkBytes: number,
): Promise<Locator> {
  const incoming = spool.receive()
  for (let start = 0; start < content.length; start += Math.ceil(chunkBytes)) {
    await incoming.write(content.subarray(start, start + Math.ceil(chunkBytes)))
  }
  return incoming.commit(message)
}

async function drained(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** `undefined` when it is refused as damaged. */
async function readOrRefusal(spool: FileSpool, locator: Locator): Promise<Buffer | undefined> {
  try {
    return await (await spool.read(locator)).content()
  } catch (error) {
    // A changed bit in the name of the key is a key nobody knows.
    if (error instanceof SpoolReadError || error instanceof SpoolKeyError) return undefined
    throw error
  }
}

async function filesOf(path: string): Promise<readonly string[]> {
  return (await readdir(path, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(path.length + 1))
}

async function flip(file: string, offset: number, bit: number): Promise<void> {
  const handle = await open(file, 'r+')
  const octet = Buffer.alloc(1)
  await handle.read(octet, 0, 1, offset)
  octet[0] = (octet[0] ?? 0) ^ (1 << bit)
  await handle.write(octet, 0, 1, offset)
  await handle.close()
}

async function overwrite(file: string, offset: number, bytes: Buffer): Promise<void> {
  const handle = await open(file, 'r+')
  await handle.write(bytes, 0, bytes.length, offset)
  await handle.close()
}

function frameAt(bytes: Buffer, { offset, recordBytes }: Locator): Buffer {
  return Buffer.from(bytes.subarray(offset, offset + recordBytes))
}

/** The frame with a head checksum for another segment, as somebody with access to the disk can make it. */
function reseal(frame: Buffer, segment: string): Buffer {
  const copy = Buffer.from(frame)
  sealHead(copy.subarray(0, headBytes), segmentSeed(segment), true)
  return copy
}
