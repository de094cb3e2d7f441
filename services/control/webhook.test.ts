import assert from 'node:assert/strict'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { deliveredStory, testId, testStore } from '../../shared/store/testing.ts'
import { startReceiver } from '../../shared/webhooks/testing.ts'
import { webhookName, webhooksFolder, writeState } from '../../shared/webhooks/webhook-state.ts'
import { runTrimmed } from './testing.ts'

const url = 'https://hooks.test/mail'

async function bench(t: TestContext, pipeline: (folder: string) => string) {
  const store = await testStore(t)
  await store.write(deliveredStory(testId()))
  const data = join(store.folder, 'data')
  await mkdir(join(data, 'events'), { recursive: true })
  await rename(join(store.folder, 'sluice-a-1-0.ndjson'), join(data, 'events', 'sluice-a-1-0.ndjson'))
  await writeFile(join(store.folder, 'key'), 'secret')
  const environment = {
    SMTPD_CONF: join(store.folder, 'smtpd.conf'),
    PIPELINE_CONF: join(store.folder, 'pipeline.conf'),
    SMTPD_HOSTNAME: 'mx.sluice.test',
  }
  await writeFile(environment.SMTPD_CONF, 'listen on lo port 25\naction "out" relay\nmatch for any action "out"\n')
  await writeFile(environment.PIPELINE_CONF, pipeline(store.folder))
  const ctl = (...args: readonly string[]) => runTrimmed(['webhook', ...args, '-d', data], environment)
  return { data, ctl }
}

test('who is told of what, what waits, and why it is not taken', async (t) => {
  const { data, ctl } = await bench(
    t,
    (folder) => `webhook "${url}" events received delivered held secret file "${folder}/key"\n`,
  )
  const begun = await ctl('list')
  assert.equal(begun.code, 0)
  assert.match(begun.out, /^https:\/\/hooks\.test\/mail +not begun +- +0 +0 +never$/m)
  const failure = { attempts: 3, reason: 'hooks.test answered 503', since: 0, nextAt: 0 }
  const state = { positions: new Map(), sent: 7, dropped: 1, sentAt: 0, failure }
  await writeState(webhooksFolder(data), webhookName(url), state)
  const { code, out } = await ctl('list')
  assert.equal(code, 1)
  assert.match(out, /^https:\/\/hooks\.test\/mail +fails +2 +7 +1 +1970-01-01 00:00:00Z$/m)
  assert.match(out, /^ {2}3 attempts since 1970-01-01 00:00:00Z, again in 0 ms: hooks.test answered 503$/m)
  const { webhooks } = JSON.parse((await ctl('list', '--json')).out) as { webhooks: { waiting: number }[] }
  assert.equal(webhooks[0]?.waiting, 2)
})

test('one event is posted to try it; what is not configured is not posted to', async (t) => {
  const receiver = await startReceiver()
  t.after(() => receiver.stop())
  const line = (folder: string): string => `webhook "${receiver.url}" events held secret file "${folder}/key"\n`
  const { ctl } = await bench(t, line)
  const { code, out, errors } = await ctl('test', receiver.url)
  assert.deepEqual([code, errors], [0, ''])
  assert.match(out, /took it in/)
  const [event] = JSON.parse(receiver.requests[0]?.body ?? '') as { event: string; host: string }[]
  assert.deepEqual([event?.event, event?.host], ['test', 'mx.sluice.test'])
  receiver.answer = 401
  const refused = await ctl('test', receiver.url)
  assert.deepEqual([refused.code, /it was not taken: .* answered 401/.test(refused.errors)], [1, true])
  const unknown = await ctl('test', url)
  assert.deepEqual([unknown.code, unknown.errors.includes(`there are: ${receiver.url}`)], [1, true])
  assert.equal(receiver.requests.length, 2)
  const { ctl: none } = await bench(t, () => '')
  assert.equal((await none('list')).out, 'There is no webhook in pipeline.conf.')
})
