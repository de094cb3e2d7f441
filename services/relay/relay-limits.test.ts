import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Limits } from '../../shared/config/model.ts'
import type { SmtpConnection } from '../../shared/smtp-client/connection.ts'
import { NoConnectionNow } from '../../shared/smtp-client/pool.ts'
import { ConnectionBudget } from './connection-budget.ts'
import type { Places } from './connection-budget.ts'
import { limitedDomain, relayLimits } from './relay-limits.ts'
import { stageMessage } from './testing.ts'

function limitsOf(mta: Record<string, number>, domains: Limits['mtaDomains'] = new Map()): Limits {
  return { mta: new Map(Object.entries(mta)), mtaDomains: domains, mda: new Map(), scheduler: new Map() }
}

const places: Places = { host: 'h', source: 's', route: 's-h', connector: 'c', relay: 'r', domain: 'd' }

/** Connections that close when told. */
function setUp(mta: Record<string, number>) {
  const clock = { at: 1_000_000, now: () => clock.at }
  const closers: (() => void)[] = []
  const connection = { onceClosed: (notify: () => void) => closers.push(notify) } as unknown as SmtpConnection
  const budget = new ConnectionBudget(clock)
  const connect = (key = 'key', at: Partial<Places> = {}) =>
    budget.connect(key, { ...places, ...at }, relayLimits(limitsOf(mta), 'd'), async () => connection)
  return { clock, budget, connect, closeOne: () => closers.shift()?.() }
}

test('limits of a domain stand above those for all, and what is not written does not limit', () => {
  const own = { limits: new Map([['max-conn-per-host', 2]]), family: 6 as const }
  const limits = limitsOf({ 'max-conn-per-host': 5, 'session-keepalive': 3 }, new Map([['far.test', own]]))
  const far = relayLimits(limits, 'far.test')
  assert.deepEqual([far.family, far.maxConnections, far.session.idleMs], [6, { host: 2 }, 3_000])
  const other = relayLimits(limits, 'other.test')
  assert.deepEqual([other.family, other.maxConnections, other.connectDelayMs], [undefined, { host: 5 }, {}])
})

test('for domain means the next domain or the smarthost', () => {
  for (const [destination, domain] of [
    ['far.test', 'far.test'],
    ['smtp://Mx.far.test:25', 'mx.far.test'],
    ['smtps://label@mx.far.test', 'mx.far.test'],
    ['smtp://[2001:db8::1]:25', '[2001:db8::1]'],
  ] as const)
    assert.equal(limitedDomain(stageMessage({ destination })), domain)
})

test('a connection counts until it is closed, and one that fails does not', async () => {
  const { budget, connect, closeOne } = setUp({ 'max-conn-per-relay': 1 })
  await connect('one')
  await assert.rejects(connect('two'), (error) => {
    assert.ok(error instanceof NoConnectionNow)
    assert.deepEqual([...error.crowdedBy], ['one'])
    return true
  })
  await connect('two', { relay: 'other' })
  closeOne()
  const limits = relayLimits(limitsOf({ 'max-conn-per-relay': 1 }), 'd')
  const failing = budget.connect('two', places, limits, async () => {
    throw new Error('refused')
  })
  await assert.rejects(failing, /refused/)
  await connect('two')
})

test('a route rests after a session', async () => {
  const { clock, connect, closeOne } = setUp({ 'reconn-delay-route': 3 })
  await connect()
  await connect()
  closeOne()
  await assert.rejects(connect(), (error) => error instanceof NoConnectionNow && error.retryInMs === 3_000)
  await connect('key', { route: 'elsewhere' })
  clock.at += 3_000
  await connect()
})
