import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import type { Configuration, WebhookSetting } from '../config/model.ts'
import { OperationError } from '../operate/operation-error.ts'
import { zoneResolver } from '../restrictions/testing.ts'
import { startReceiver } from './testing.ts'
import { openWebhookDesk } from './webhook-desk.ts'
import { webhookName, webhooksFolder, writeState } from './webhook-state.ts'

test('an operator sees what waits and why, without the key in the URL, and tries a webhook', async (t) => {
  const dataFolder = await mkdtemp(join(tmpdir(), 'sluice-desk-'))
  const receiver = await startReceiver()
  const secretFile = join(dataFolder, 'key')
  await writeFile(secretFile, 'secret')
  await mkdir(join(dataFolder, 'events'))
  const entry = (event: string): string => `${JSON.stringify({ at: 1, event, id: '0mi8v2c4bm99999999' })}\n`
  await writeFile(join(dataFolder, 'events', 'a.ndjson'), [entry('held'), entry('received'), entry('held')].join(''))
  const url = `${receiver.url}?key=abc`
  const webhooks: WebhookSetting[] = [{ url, events: ['held'], secretFile }]
  const time = { now: 1_000 }
  const desk = openWebhookDesk({
    configuration: { hostname: 'mx.test', pipeline: { webhooks } } as unknown as Configuration,
    resolver: zoneResolver({}),
    clock: { now: () => time.now },
    dataFolder,
  })
  t.after(async () => {
    await desk.close()
    await receiver.stop()
    await rm(dataFolder, { recursive: true })
  })
  const name = webhookName(url)
  const about = { name, host: new URL(url).origin, events: ['held'] }
  assert.deepEqual(await desk.list(), [{ ...about, state: 'not begun', sent: 0, dropped: 0 }])
  const failure = { attempts: 1, reason: '503', since: 1, nextAt: 2 }
  await writeState(webhooksFolder(dataFolder), name, { positions: new Map(), sent: 4, dropped: 1, sentAt: 1, failure })
  assert.equal((await desk.list())[0]?.state, 'not begun', 'not looked at for each reader')
  time.now += 5_001
  const [seen] = await desk.list()
  assert.deepEqual(seen, { ...about, state: 'fails', sent: 4, dropped: 1, sentAt: 1, failure, waiting: 2 })
  assert.doesNotMatch(JSON.stringify(seen), /abc/)

  assert.match(await desk.test(name), /^taken in /)
  assert.match(receiver.requests[0]?.body ?? '', /"event":"test","host":"mx\.test"/)
  receiver.answer = 500
  for (const [asked, message] of [
    [name, /it was not taken: 127\.0\.0\.1:\d+ answered 500/],
    ['nobody', /there is no webhook nobody/],
  ] as const)
    await assert.rejects(desk.test(asked), (error) => error instanceof OperationError && message.test(error.message))
})
