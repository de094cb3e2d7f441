import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { classifierFiles, trainAgain } from '../../../shared/classifier/classifier.ts'
import { featuresOf } from '../../../shared/classifier/features.ts'
import { learn, learnedOf } from '../../../shared/classifier/learned-mail.ts'
import { exampleMail } from '../../../shared/classifier/testing.ts'
import { openFilter } from '../index.ts'
import { headerBehind, receivedAt, stageMessage, testContext, testEnvelope, zoneResolver } from '../testing.ts'
import { createClassifierEngine } from './engine.ts'

function dataFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'classifier-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}

async function taught(t: TestContext): Promise<string> {
  const folder = dataFolder(t)
  const mails = Array.from({ length: 240 }, (_one, number) =>
    learnedOf(featuresOf(exampleMail(number, number % 2 === 0 ? 'spam' : 'ham')), number % 2 === 0),
  )
  await learn(classifierFiles(folder).learned, mails)
  assert.equal((await trainAgain(folder)).kind, 'trained')
  return folder
}

test('what this site has taught decides, and each verdict names the model', async (t) => {
  const folder = await taught(t)
  const engines = [{ kind: 'builtin', weight: 1, classifier: true }] as const
  const { context, events } = testContext(zoneResolver({}), { spam: { junk: 5, engines } })
  const stage = await openFilter({ ...context, dataFolder: folder }, 1)
  for (const kind of ['spam', 'ham'] as const) {
    const content = exampleMail(901, kind)
    const header = headerBehind(content, await stage.handle(stageMessage(content, testEnvelope()), context))
    assert.match(header, kind === 'spam' ? /X-Spam-Status: Yes, / : /X-Spam-Status: No, /)
    assert.match(header, /CLASSIFIER/)
  }
  await stage.close()
  assert.match(JSON.stringify(events[0]), /spam by site-[0-9a-f]{8}/)
})

test('a damaged model of this site does not stop the filter, and its health tells of it', async (t) => {
  const folder = await taught(t)
  writeFileSync(classifierFiles(folder).model, 'no model')
  const engines = [{ kind: 'builtin', weight: 1, classifier: true }] as const
  const { context } = testContext(zoneResolver({}), { spam: { junk: 5, engines } })
  const stage = await openFilter({ ...context, dataFolder: folder }, 1)
  const content = exampleMail(903, 'spam')
  const header = headerBehind(content, await stage.handle(stageMessage(content, testEnvelope()), context))
  assert.match(header, /CLASSIFIER=/)
  assert.match((await stage.health?.())?.join() ?? '', /^\/.*site\.model: /)
  await stage.close()
})

test('a long message is judged by its beginning, in a thread, without being held in memory', async (t) => {
  const engine = createClassifierEngine({ dataFolder: await taught(t), now: () => receivedAt, threads: 1 })
  t.after(() => engine.close())
  const content = Buffer.concat([exampleMail(902, 'spam'), Buffer.alloc(3_000_000, 'x\r\n')])
  const { stored, sizeBytes, envelope } = stageMessage(content, testEnvelope())
  const message = {
    envelope,
    sizeBytes,
    received: Buffer.alloc(0),
    header: Buffer.alloc(0),
    stream: () => stored.stream(),
    content: () => assert.fail('not as a whole'),
  }
  const result = await engine.scan(message, new AbortController().signal)
  assert.equal(result.status, 'ok')
  assert.ok(result.score > 0)
})

test('our own users and what is made here are not judged by their words', async (t) => {
  const engine = createClassifierEngine({ dataFolder: dataFolder(t), now: () => receivedAt, threads: 1 })
  t.after(() => engine.close())
  assert.ok(!engine.applies(testEnvelope({ kind: 'smtp', address: '192.0.2.7', helo: 'x', user: 'jane' })))
  assert.ok(engine.applies(testEnvelope()))
})
