import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { LaneSettings } from '../../shared/config/model.ts'
import { MxGroups, relayLane } from './mx-groups.ts'
import { fakeResolver, stageContext } from './testing.ts'

const mx = (exchange: string, priority = 10) => ({ exchange, priority })

function setUp() {
  const clock = { at: 1_000_000, now: () => clock.at }
  const zones = {
    mx: {
      'one.test': [mx('B.mx.test.', 10), mx('a.mx.test', 20)],
      'two.test': [mx('a.mx.test', 5), mx('b.mx.test', 5)],
      'three.test': [mx('a.mx.test')],
      'cloud.test': [mx('cloud-test.mail.cloud.example')],
      'mixed.test': [mx('mixed-test.mail.cloud.example'), mx('mx.mixed.test')],
      'null.test': [mx('.', 0)],
      'down.test': 'fail' as const,
    },
    a: { 'plain.test': ['192.0.2.1'] },
  }
  return { clock, resolver: fakeResolver(zones), groups: new MxGroups(clock) }
}

async function laneOf(domain: string, mxLanes = new Map<string, LaneSettings>()): Promise<string> {
  const { groups, resolver } = setUp()
  const context = stageContext({ mxLanes, lanesOf: new Map([['own.test', { concurrency: 1 }]]) })
  return relayLane(context.configuration, domain, await groups.lookUp(domain, resolver)).name
}

test('domains with the same mail servers share a lane, whatever the order', async () => {
  assert.equal(await laneOf('one.test'), 'a.mx.test,b.mx.test')
  assert.equal(await laneOf('two.test'), await laneOf('one.test'))
  assert.notEqual(await laneOf('three.test'), await laneOf('one.test'), 'it has no second one: it may be down alone')
})

test('a domain without MX, without mail, or that nobody can look up now has a lane of its own', async () => {
  for (const domain of ['plain.test', 'null.test', 'down.test', 'nowhere.test', '[192.0.2.7]']) {
    assert.equal(await laneOf(domain), domain)
  }
})

test('the operator puts domains into one lane by the names of their mail servers, all of which must fit', async () => {
  const lanes = new Map<string, LaneSettings>([
    ['*.cloud.example', { concurrency: 5 }],
    ['*.example', { concurrency: 9 }],
  ])
  assert.equal(await laneOf('cloud.test', lanes), '*.cloud.example')
  assert.equal(await laneOf('mixed.test', lanes), 'mixed-test.mail.cloud.example,mx.mixed.test')
  const { configuration } = stageContext({ mxLanes: lanes, lane: { backOff: 'off', concurrency: 1 } })
  assert.deepEqual(relayLane(configuration, 'a.test', ['x.cloud.example']).settings, { backOff: 'off', concurrency: 5 })
})

test('a domain with a lane of its own is in no group', async () => {
  const { configuration } = stageContext({ lanesOf: new Map([['own.test', { concurrency: 1 }]]) })
  assert.deepEqual(relayLane(configuration, 'own.test', ['a.mx.test']), {
    name: 'own.test',
    settings: { backOff: 'off', concurrency: 1 },
  })
})

test('what DNS said is known for a while, trouble for a shorter one', async () => {
  const { groups, resolver, clock } = setUp()
  await groups.lookUp('three.test', resolver)
  await groups.lookUp('down.test', resolver)
  assert.deepEqual(
    [groups.known('three.test'), groups.known('down.test'), groups.known('x.test')],
    [['a.mx.test'], [], undefined],
  )
  clock.at += 60_000
  assert.deepEqual([groups.known('three.test'), groups.known('down.test')], [['a.mx.test'], undefined])
  clock.at += 300_000
  assert.equal(groups.known('three.test'), undefined)
})

test('the name of a lane of very many hosts stays short, and is that of these hosts only', () => {
  const { configuration } = stageContext({})
  const hosts = Array.from({ length: 20 }, (_, index) => `very-long-name-of-a-mail-server-${index}.example.org`)
  const { name } = relayLane(configuration, 'a.test', hosts)
  assert.ok(name.length < 260)
  assert.notEqual(name, relayLane(configuration, 'a.test', hosts.slice(1)).name)
})
