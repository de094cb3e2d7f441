import assert from 'node:assert/strict'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import type { Clock } from '../clock.ts'
import type { FileSpool, SpoolOptions } from './file-spool.ts'
import { collectGarbage } from './garbage.ts'
import { Keyring } from './keyring.ts'
import { LiveIndex } from './live-index.ts'
import { SpoolFullError, SpoolReadError } from './spool.ts'
import type { IncomingContent } from './spool.ts'
import { octets, storedMessage, temporarySpool, writer } from './test-support.ts'

const keyring = new Keyring([Buffer.alloc(32, 1)])
const threshold = 2_000
const small = Buffer.from('Subject: small\r\n\r\nHello\r\n')
const large = Buffer.concat([Buffer.from('Subject: large\r\n\r\n'), octets(50_000)])
const modes: readonly (readonly [string, Partial<SpoolOptions>])[] = [
  ['as it is', {}],
  ['compressed and encrypted', { keyring, encryption: true, compression: true }],
]

for (const [mode, options] of modes)
  for (const [size, content] of [
    ['small', small],
    ['large', large],
  ] as const)
    test(`a ${size} message is read by another process before it is accepted, ${mode}, and the same when it is`, async (t) => {
      const path = await temporarySpool(t)
      const spool = await writer(t, path, { ...options, streamThresholdBytes: threshold })
      const other = await writer(t, path, { keyring })
      const message = storedMessage(2)
      const incoming = await begun(spool, content)

      const draft = await incoming.draft(message)
      const read = await other.read(draft)
      assert.deepEqual([read.envelope, read.edits], [message.envelope, message.edits])
      assert.deepEqual(await read.content(), content)
      assert.deepEqual(await read.header(), content.subarray(0, draft.headerBytes))
      assert.equal(draft.sizeBytes, content.length)

      const accepted = await other.read(await incoming.commit(message))
      assert.deepEqual(await accepted.content(), content)
      await spool.close()
      assert.deepEqual(await drafts(path), [])
    })

test('what is not accepted is in no index, whenever the process dies, and what is left of it goes', async (t) => {
  const path = await temporarySpool(t)
  const spool = await writer(t, path, { streamThresholdBytes: threshold })
  for (const content of [small, large]) await (await begun(spool, content)).draft(storedMessage())
  assert.equal((await drafts(path)).length, 2)
  const index = await LiveIndex.open(path)
  assert.deepEqual([index.size, index.counts().messages], [0, 0])

  // The folder of a living process is left alone.
  await collectGarbage(index, { olderThanMs: 0 })
  assert.equal((await drafts(path)).length, 2)
  for (const file of await readdir(path, { recursive: true })) if (file.endsWith('/alive')) await rm(join(path, file))
  for (let run = 0; run < 2; run += 1) await collectGarbage(index, { olderThanMs: 0, clock: later })
  assert.deepEqual(
    (await readdir(path, { recursive: true })).filter((file) => /\.(draft|big)$/.test(file)),
    [],
  )
  assert.equal((await LiveIndex.open(path)).size, 0)
})

test('what is given up can be read no more, and its place is free', async (t) => {
  const path = await temporarySpool(t)
  const spool = await writer(t, path, { streamThresholdBytes: threshold })
  for (const content of [small, large]) {
    const incoming = await begun(spool, content)
    const draft = await incoming.draft(storedMessage())
    await incoming.abort()
    await assert.rejects(spool.read(draft), SpoolReadError)
    await assert.rejects(incoming.commit(storedMessage()), /given up/)
  }
  assert.deepEqual(
    (await readdir(path, { recursive: true })).filter((file) => /\.(draft|big)$/.test(file)),
    [],
  )
})

test('given up while it is being written, it leaves nothing', async (t) => {
  const path = await temporarySpool(t)
  const spool = await writer(t, path)
  const incoming = await begun(spool, small)
  const draft = incoming.draft(storedMessage()).catch(() => undefined)
  await incoming.abort()
  await draft
  await incoming.abort()
  await spool.close()
  assert.deepEqual(await drafts(path), [])
})

test('a message whose draft has no room is accepted when there is', async (t) => {
  const path = await temporarySpool(t)
  let nowAt = 1_000_000
  const clock: Clock = { now: () => nowAt }
  const spool = await writer(t, path, { quotaBytes: 1_000, clock })
  const ballast = await begun(spool, Buffer.alloc(400))
  await ballast.draft(storedMessage())
  const incoming = await begun(spool, Buffer.alloc(300))
  await assert.rejects(incoming.draft(storedMessage()), SpoolFullError)
  await ballast.abort()
  nowAt += 10_000
  assert.equal((await incoming.commit(storedMessage())).sizeBytes, 300)
})

const later: Clock = { now: () => Date.now() + 10_000 }

async function begun(spool: FileSpool, content: Buffer): Promise<IncomingContent> {
  const incoming = spool.receive()
  for (let start = 0; start < content.length; start += 1_000)
    await incoming.write(content.subarray(start, start + 1_000))
  return incoming
}

async function drafts(path: string): Promise<readonly string[]> {
  return (await readdir(path, { recursive: true })).filter((file) => file.endsWith('.draft'))
}
