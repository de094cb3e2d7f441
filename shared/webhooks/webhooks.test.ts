import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import type { WebhookSetting } from '../config/model.ts'
import { silentLog } from '../log.ts'
import { createMetrics } from '../metrics.ts'
import { zoneResolver } from '../restrictions/testing.ts'
import { deliveredStory, testId, testStore } from '../store/testing.ts'
import { startReceiver } from './testing.ts'
import { readState, webhookName, webhooksFolder, writeState } from './webhook-state.ts'
import { openWebhooks } from './webhooks.ts'
import type { WebhookParts } from './webhooks.ts'

test('a receiver that never answers delays no other and no end; what is configured no more is forgotten', async (t) => {
  const store = await testStore(t)
  const secretFile = join(store.folder, 'key')
  await writeFile(secretFile, 'secret')
  const [silent, quick, next] = [await startReceiver(), await startReceiver(), await startReceiver()]
  silent.answer = undefined
  t.after(() => Promise.all([silent.stop(), quick.stop(), next.stop()]))
  const setting = (url: string): WebhookSetting => ({ url, events: ['delivered'], secretFile })
  const metrics = createMetrics()
  t.after(() => metrics.close())
  const pipeline = { webhooks: [setting(silent.url), setting(quick.url)] }
  const parts = {
    configuration: { pipeline },
    resolver: zoneResolver({}),
    events: { webhookDropped: () => assert.fail() },
    metrics,
    clock: { now: () => Date.now() },
    log: silentLog(),
    dataFolder: store.folder,
  } as unknown as WebhookParts
  const folder = webhooksFolder(store.folder)
  const begun = { positions: new Map(), sent: 0, dropped: 0 }
  for (const { url } of [...pipeline.webhooks, next]) await writeState(folder, webhookName(url), begun)

  const webhooks = openWebhooks(parts, store.folder)
  await store.write(deliveredStory(testId()))
  await webhooks.follow()
  await Promise.all([silent.waitForRequests(1), quick.waitForRequests(1)])
  await store.write(deliveredStory(testId()))
  await quick.waitForRequests(2)
  assert.equal(silent.requests.length, 1)
  assert.deepEqual(webhooks.troubles, [])
  assert.equal(await readState(folder, webhookName(next.url)), undefined)

  pipeline.webhooks = [setting(quick.url)]
  await webhooks.follow()
  assert.equal(await readState(folder, webhookName(silent.url)), undefined)
  await store.write(deliveredStory(testId()))
  await quick.waitForRequests(3)
  await webhooks.close()
  // Whether the last answer came before the end is not certain: if not, it is posted again.
  const { sent = 0 } = (await readState(folder, webhookName(quick.url))) ?? {}
  assert.ok(sent === 2 || sent === 3, String(sent))
})
