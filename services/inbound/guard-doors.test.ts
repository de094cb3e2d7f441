import assert from 'node:assert/strict'
import { test } from 'node:test'

import { createLiveConfiguration } from '../../shared/config/live-configuration.ts'
import type { Configuration, PipelineSettings } from '../../shared/config/model.ts'
import { silentLog } from '../../shared/log.ts'
import { contextOf } from '../../shared/routing/routing-fixture.ts'
import { StartError } from '../../shared/start/start-error.ts'
import { guardDoors } from './guard-doors.ts'

const lines = 'listen on eth0 port 25 tag Front\nlisten on eth1 port 25\naction "out" relay\n'
const place = { file: 'pipeline.conf', line: 1, column: 1 }

function of(rule: string, pipeline: Partial<PipelineSettings> = {}) {
  return contextOf(`${lines}${rule}`, {}, pipeline)
}

const safe = of('match from local for any action "out"')
const open = of('match from any for any action "out"')
const meant = of('match from any for any action "out"', { strangersRelay: [{ at: place }] })
const meantInFront = of('match tag Front from any for any action "out"', {
  strangersRelay: [{ at: place, for: { kind: 'tag', tag: 'front' } }],
})
const meantElsewhere = of('match tag Front from any for any action "out"', {
  strangersRelay: [{ at: place, for: { kind: 'listener', on: 'eth1' } }],
})

/** What is told at the start, and what comes of reloads one after the other. */
async function guard(first: typeof safe, ...nexts: readonly Configuration[]) {
  const told: string[] = []
  const log = Object.assign(silentLog(), { error: (_fields: object, text: string) => void told.push(text) })
  const loaded = (configuration: Configuration) =>
    ({ configuration, warnings: [], statedAt: new Map(), texts: new Map() }) as const
  const coming = [...nexts]
  const { configuration, tables } = first
  const live = createLiveConfiguration(loaded(configuration), async () => loaded(coming.shift() ?? configuration))
  const stop = await guardDoors({ configuration, live, tables, log, clock: { now: () => 0 } })
  const reloads = []
  for (const _next of nexts) reloads.push(await live.reload())
  stop()
  return { told, reloads }
}

test('an open relay does not start, and says by which rule, and how to say that it is meant', async () => {
  for (const context of [open, meantElsewhere])
    await assert.rejects(guard(context), (error) => {
      assert.ok(error instanceof StartError)
      assert.equal(error.exitCode, 78)
      assert.match(
        error.message,
        /^[/]etc[/]mail[/]smtpd[.]conf:4:1: open relay: on eth0 port 25 this rule .* \[open-relay\]\n/m,
      )
      assert.match(error.message, /`strangers may relay` in pipeline[.]conf says so/)
      return true
    })
})

test('an open relay that is meant starts, and is told each time', async () => {
  for (const context of [meant, meantInFront]) assert.match((await guard(context)).told.join(), /open relay: on eth0/)
  assert.deepEqual((await guard(safe)).told, [])
})

test('a reload that would open a relay is refused; one that says it is meant is told', async () => {
  const { told, reloads } = await guard(safe, open.configuration, meant.configuration)
  const [refused, replaced] = reloads
  assert.ok(refused?.kind === 'refused' && refused.fault.includes('open relay'))
  assert.notEqual(replaced?.kind, 'refused')
  assert.deepEqual(
    told.map((text) => /^open relay: on eth\d/.exec(text)?.[0]),
    ['open relay: on eth0', 'open relay: on eth1'],
  )
})
