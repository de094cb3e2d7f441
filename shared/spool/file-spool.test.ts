import assert from 'node:assert/strict'
import { open, readdir, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import { SpoolReadError } from './spool.ts'
import { octets, storedMessage, temporarySpool, writer } from './test-support.ts'

/** What all spools promise: contract.test.ts. */
const threshold = 2_000

test('a damaged content never passes as whole', async (t) => {
  const path = await temporarySpool(t)
  const spool = await writer(t, path, { streamThresholdBytes: threshold })
  const content = Buffer.concat([Buffer.from('A: b\r\n\r\n'), octets(300_000)])
  const locator = await spool.store(storedMessage(), content)
  const message = await spool.read(locator)
  const big = (await readdir(path, { recursive: true })).find((file) => file.endsWith('.big')) ?? ''
  await overwrite(join(path, big), 200_000, Buffer.from([(content[200_000] ?? 0) ^ 1]))
  await assert.rejects(message.content(), SpoolReadError)
  await assert.rejects(message.stream().toArray(), SpoolReadError)
  await assert.rejects(message.stream(8).toArray(), SpoolReadError)
  assert.deepEqual(await message.header(), content.subarray(0, 8))
  await truncate(join(path, big), 100)
  await assert.rejects(message.stream(9).toArray(), SpoolReadError)
})

test('a damaged record is refused', async (t) => {
  const path = await temporarySpool(t)
  const spool = await writer(t, path)
  const locator = await spool.store(storedMessage(), octets(500))
  await overwrite(join(path, locator.segment), locator.recordBytes - 1, Buffer.from([0, 0]))
  await assert.rejects(spool.read(locator), SpoolReadError)
})

async function overwrite(path: string, position: number, bytes: Buffer): Promise<void> {
  const file = await open(path, 'r+')
  await file.write(bytes, 0, bytes.length, position)
  await file.close()
}
