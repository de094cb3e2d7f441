import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Configuration } from '../../shared/config/model.ts'
import { createEngineSet } from './engine-set.ts'
import { openFilter } from './index.ts'
import { bannedSettings, stageMessage, testContext, testEnvelope, zoneResolver } from './testing.ts'
import type { TestSettings } from './testing.ts'

const banned: TestSettings = { banned: bannedSettings() }

function engineNames(engines: readonly { readonly engine: { readonly name: string } }[]): readonly string[] {
  return engines.map(({ engine }) => engine.name)
}

test('a new configuration holds for the next message, and the last one ends with what it still judges', async () => {
  const { context } = testContext(zoneResolver({}))
  const before: Configuration = context.configuration
  const now: Configuration = testContext(zoneResolver({}), banned).context.configuration
  const set = createEngineSet(before, context)
  const closed: string[] = []
  let finish = (): void => {}
  const judging = set.use(before, async ({ engines }) => {
    for (const { engine } of engines) Object.assign(engine, { close: async () => void closed.push(engine.name) })
    await new Promise<void>((resolve) => {
      finish = resolve
    })
  })
  assert.deepEqual(await set.use(now, async ({ engines }) => engineNames(engines)), [
    'authentication',
    'gtube',
    'banned',
  ])
  assert.deepEqual(closed, [])
  finish()
  await judging
  assert.deepEqual(closed, ['authentication', 'gtube'])
  await set.close()
})

test('a new configuration with the same engines keeps them, with their threads and connections', async () => {
  const { context } = testContext(zoneResolver({}), banned)
  const set = createEngineSet(context.configuration, context)
  const first = await set.use(context.configuration, async ({ engines }) => engines)
  const others: TestSettings[] = [banned, { ...banned, spam: { junk: 3, subject: 'SPAM' } }]
  for (const settings of others) {
    const { configuration } = testContext(zoneResolver({}), settings).context
    assert.equal(await set.use(configuration, async ({ engines }) => engines), first)
  }
  const { configuration } = testContext(zoneResolver({}), { ...banned, onFailure: 'proceed' }).context
  assert.notEqual(await set.use(configuration, async ({ engines }) => engines), first)
  await set.close()
})

test('an engine that is away is told by the health until it answers', async () => {
  const clamd = { kind: 'unix', path: '/nowhere/clamd.ctl' } as const
  const settings: TestSettings = { virus: { clamd, timeoutMs: 1_000, infected: 'quarantine', onFailure: 'proceed' } }
  const { context } = testContext(zoneResolver({}), settings)
  const stage = await openFilter(context)
  assert.deepEqual(await stage.health?.(), [])
  await stage.handle(stageMessage(Buffer.from('From: a@b.test\r\n\r\n'), testEnvelope()), context)
  assert.match((await stage.health?.())?.join() ?? '', /^engine clamd: connect ENOENT/)
  await stage.close()
})
