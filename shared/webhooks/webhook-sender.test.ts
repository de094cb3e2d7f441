import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import type { JournalEntry } from '../journal.ts'
import { silentLog } from '../log.ts'
import { createMetrics } from '../metrics.ts'
import { testId, testStore } from '../store/testing.ts'
import { countUnread, journalEnds, nextEvents } from './read-events.ts'
import { WebhookSender } from './webhook-sender.ts'
import { readState, writeState } from './webhook-state.ts'

const dayMs = 86_400_000
const url = 'https://hooks.test/mail?key=abc'

/** A journal and a receiver whose answers the test gives; time passes by pauses alone. */
async function bench(t: TestContext) {
  const store = await testStore(t)
  const folder = join(store.folder, 'webhooks')
  const metrics = createMetrics()
  t.after(() => metrics.close())
  const told = new EventEmitter()
  const posted: string[][] = []
  const ids: string[] = []
  const pauses: number[] = []
  const dropped: object[] = []
  const errors: string[] = []
  const time = { now: Date.parse('2026-11-21T12:00:00Z'), goesOn: true }
  const receiver = { fault: undefined as string | undefined }

  function start(): WebhookSender {
    return new WebhookSender({
      setting: { url, events: ['held'], secretFile: '/nowhere' },
      folder,
      ends: async () => journalEnds(store.folder),
      next: async (question) => nextEvents({ ...question, folder: store.folder }),
      unread: async (question) => countUnread({ ...question, folder: store.folder }),
      post: async ({ id, events }) => {
        posted.push(events.map((text) => String((JSON.parse(text) as JournalEntry)['n'])))
        ids.push(id)
        if (receiver.fault !== undefined) throw new Error(receiver.fault)
      },
      pause: async (ms, signal) => {
        pauses.push(ms)
        const looked = ms <= 1_000
        if (!looked) time.now += ms
        told.emit(looked ? 'caught up' : 'failed')
        if (looked || !time.goesOn) await once(told, 'go on', { signal })
        else await new Promise((resolve) => setImmediate(resolve))
      },
      events: { webhookDropped: (fields) => void dropped.push(fields) },
      metrics,
      clock: { now: () => time.now },
      log: { ...silentLog(), error: (_fields: object, text: string) => void errors.push(text) },
    })
  }

  let count = 0
  async function hold(at = time.now, file?: string): Promise<void> {
    count += 1
    await store.write([{ at, event: 'held', id: testId(), n: count }], file)
  }

  return {
    start,
    hold,
    errors,
    folder,
    journal: store.folder,
    posted,
    ids,
    pauses,
    dropped,
    time,
    receiver,
    metrics,
    caughtUp: () => once(told, 'caught up'),
    failed: () => once(told, 'failed'),
    goOn: () => void told.emit('go on'),
  }
}

test('each event is posted, those from before the first start not, and a restart goes on where it was', async (t) => {
  const { start, hold, posted, caughtUp, goOn } = await bench(t)
  await hold()
  let caught = caughtUp()
  let sender = start()
  await caught
  assert.deepEqual(posted, [])
  await hold()
  await hold()
  caught = caughtUp()
  goOn()
  await caught
  assert.deepEqual(posted, [['2', '3']])
  await sender.close()
  await hold()
  caught = caughtUp()
  sender = start()
  await caught
  assert.deepEqual(posted, [['2', '3'], ['4']])
  await sender.close()
})

test('a killed sender posts again what nobody wrote down as taken, under the same ids', async (t) => {
  const { start, hold, posted, ids, folder, caughtUp, goOn } = await bench(t)
  let caught = caughtUp()
  let sender = start()
  await caught
  const before = await readState(folder, sender.name)
  assert.ok(before)
  await hold()
  caught = caughtUp()
  goOn()
  await caught
  await sender.close()
  await writeState(folder, sender.name, before)
  caught = caughtUp()
  sender = start()
  await caught
  await sender.close()
  assert.deepEqual(posted, [['1'], ['1']])
  assert.equal(ids[0], ids[1])
})

test('a receiver that fails is asked again after 10 s to 1 h, and told in the health after 5 minutes', async (t) => {
  const { start, hold, posted, pauses, receiver, folder, time, caughtUp, failed, goOn } = await bench(t)
  let caught = caughtUp()
  const sender = start()
  await caught
  receiver.fault = 'hooks.test answered 503'
  await hold()
  goOn()
  for (let attempts = 0; attempts < 12; attempts++) {
    const again = failed()
    await again
    if (attempts === 0) assert.equal(sender.trouble, undefined)
  }
  assert.match(sender.trouble ?? '', /^webhook hooks\.test-[0-9a-f]{8} is behind for .*: hooks\.test answered 503$/)
  const { failure } = (await readState(folder, sender.name)) ?? {}
  assert.ok(failure && failure.attempts >= 11 && failure.reason === 'hooks.test answered 503')
  const waits = pauses.filter((ms) => ms > 1_000)
  for (const [index, ms] of waits.slice(0, 12).entries()) {
    const usual = Math.min(10_000 * 2 ** index, 3_600_000)
    assert.ok(ms >= usual * 0.89 && ms <= usual * 1.11, `${index}: ${ms}`)
  }
  receiver.fault = undefined
  caught = caughtUp()
  await caught
  assert.deepEqual(new Set(posted.map(String)), new Set(['1']))
  assert.equal(sender.trouble, undefined)
  await sender.close()
  const state = await readState(folder, sender.name)
  assert.deepEqual([state?.sent, state?.failure, state?.sentAt], [1, undefined, time.now])
})

test('what a failing receiver has not taken for three days is dropped, told and counted; younger events stay', async (t) => {
  const { start, hold, posted, dropped, receiver, folder, time, metrics, caughtUp, failed, goOn } = await bench(t)
  let caught = caughtUp()
  const sender = start()
  await caught
  receiver.fault = 'gone'
  const heldAt = time.now
  await hold()
  await hold(heldAt + 2 * dayMs)
  goOn()
  while (dropped.length === 0) await failed()
  assert.ok(time.now > heldAt + 3 * dayMs)
  assert.deepEqual(dropped, [{ webhook: sender.name, count: 1, oldestAt: heldAt, reason: 'not taken in time' }])
  receiver.fault = undefined
  caught = caughtUp()
  await caught
  assert.deepEqual([posted[0], posted.at(-1)], [['1', '2'], ['2']])
  await sender.close()
  const state = await readState(folder, sender.name)
  assert.deepEqual([state?.sent, state?.dropped], [1, 1])
  const { values } = await metrics.webhookEvents.get()
  assert.deepEqual(values.map(({ labels, value }) => `${labels.outcome} ${value}`).toSorted(), ['dropped 1', 'sent 1'])
})

test('what is older than three days is posted to a receiver that never failed: we were away, not it', async (t) => {
  const { start, hold, posted, time, caughtUp, goOn } = await bench(t)
  let caught = caughtUp()
  const sender = start()
  await caught
  await hold(time.now - 5 * dayMs)
  caught = caughtUp()
  goOn()
  await caught
  await sender.close()
  assert.deepEqual(posted, [['1']])
})

test('a state that cannot be read is begun anew, and it is told', async (t) => {
  const { start, hold, folder, posted, errors, caughtUp } = await bench(t)
  await writeState(folder, 'x', { positions: new Map([['a', 1]]), sent: 1, dropped: 0 })
  assert.deepEqual(await readState(folder, 'x'), { positions: new Map([['a', 1]]), sent: 1, dropped: 0 })
  let caught = caughtUp()
  let sender = start()
  await caught
  await sender.close()
  const path = join(folder, `${sender.name}.json`)
  assert.match(await readFile(path, 'utf8'), /^\{/)
  await writeFile(path, '{"positions":')
  await hold()
  caught = caughtUp()
  sender = start()
  await caught
  await sender.close()
  assert.deepEqual(posted, [])
  assert.match(errors.join(), /^how far the webhook was cannot be read/)
})

test('events of a file that is trimmed before they were taken are counted and told, those that were taken are not', async (t) => {
  const { start, hold, posted, dropped, time, receiver, journal, folder, metrics, caughtUp, failed, goOn } =
    await bench(t)
  const [old, young] = ['sluice-a-1-0.ndjson', 'sluice-b-1-0.ndjson']
  let caught = caughtUp()
  const sender = start()
  await caught
  await hold(time.now, old)
  caught = caughtUp()
  goOn()
  await caught
  assert.deepEqual(posted.splice(0), [['1']])

  time.goesOn = false
  receiver.fault = '503'
  const at = time.now
  await hold(at, old)
  await hold(at + 1, old)
  await hold(at + 2, young)
  const refused = failed()
  goOn()
  await refused
  assert.equal(await sender.trimming(async () => 'nothing went'), 'nothing went')
  assert.deepEqual(dropped, [])
  await hold(at + 3, old)
  await sender.trimming(() => rm(join(journal, old)))
  const webhook = sender.name
  assert.deepEqual(dropped, [{ webhook, count: 3, oldestAt: at, reason: 'the journal was trimmed' }])
  assert.match(await metrics.registry.metrics(), /webhook_events_total\{outcome="dropped"\} 3/)
  assert.equal((await readState(folder, webhook))?.dropped, 3)

  receiver.fault = undefined
  caught = caughtUp()
  goOn()
  await caught
  assert.deepEqual(posted.at(-1), ['4'], 'what is left is posted')
  await sender.trimming(() => rm(join(journal, young)))
  assert.equal(dropped.length, 1, 'what was taken is not lost')
  await sender.close()
})
