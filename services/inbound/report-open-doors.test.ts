import assert from 'node:assert/strict'
import { test } from 'node:test'

import { createLiveConfiguration } from '../../shared/config/live-configuration.ts'
import { silentLog } from '../../shared/log.ts'
import { contextOf } from '../../shared/routing/routing-fixture.ts'
import { reportOpenDoors } from './report-open-doors.ts'

const listener = 'listen on eth0 port 25\naction "out" relay\n'

test('an open relay is told at the start, and again when a reload opens one', async () => {
  const { configuration: safe, tables } = contextOf(`${listener}match from local for any action "out"`)
  const { configuration: open } = contextOf(`${listener}match from any for any action "out"`)
  const loaded = (configuration: typeof safe) =>
    ({ configuration, warnings: [], statedAt: new Map(), texts: new Map() }) as const
  for (const [first, next, tellings] of [
    [safe, open, [0, 1]],
    [open, safe, [1, 1]],
  ] as const) {
    const told: string[] = []
    let hear = (): void => undefined
    const heard = new Promise<void>((resolve) => {
      hear = resolve
    })
    const error = (_fields: object, text: string): void => {
      told.push(text)
      hear()
    }
    const log = Object.assign(silentLog(), { error })
    const live = createLiveConfiguration(loaded(first), async () => loaded(next))
    const stop = await reportOpenDoors({ configuration: first, live, tables, log, clock: { now: () => 0 } })
    assert.equal(told.length, tellings[0])
    await live.reload()
    if (tellings[1] > tellings[0]) await heard
    assert.equal(told.length, tellings[1])
    assert.ok(told.every((text) => text.startsWith('open relay: on eth0 port 25')))
    stop()
  }
})
