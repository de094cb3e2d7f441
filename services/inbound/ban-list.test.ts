import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Ban, Bans } from '../../shared/queue/queues.ts'
import { BanList } from './ban-list.ts'
import { createGate } from './gate.ts'
import { banned } from './client-watch.ts'

function memoryBans(): Bans & { empty(): void; away: boolean } {
  const all = new Map<string, Ban>()
  let version: number | undefined
  return {
    away: false,
    async add(ban) {
      if (this.away) throw new Error('away')
      all.set(ban.client, ban)
      version = (version ?? 0) + 1
    },
    async remove(client) {
      version = (version ?? 0) + 1
      return all.delete(client)
    },
    async list(now) {
      return [...all.values()].filter(({ until }) => until > now)
    },
    async version() {
      if (this.away) throw new Error('away')
      return version === undefined ? undefined : String(version)
    },
    empty() {
      all.clear()
      version = undefined
    },
  }
}

const ban: Ban = { client: '192.0.2.7', since: 0, until: 1_000, reason: 'x' }

test('a ban holds at once here, for other processes after an exchange, and until it is over', async () => {
  let now = 0
  const shared = memoryBans()
  const [one, other] = [new BanList(() => now, shared), new BanList(() => now, shared)]
  one.add(ban)
  one.add({ ...ban, client: '2001:db8:0:0' })
  assert.deepEqual([one.has('192.0.2.7'), one.has('2001:db8::9'), one.has('192.0.2.8')], [true, true, false])
  assert.equal(other.has('192.0.2.7'), false)
  await one.exchange()
  await other.exchange()
  assert.deepEqual([other.has('192.0.2.7'), other.has('2001:db8::9')], [true, true])
  now = 1_000
  assert.equal(other.has('192.0.2.7'), false)
})

test('a ban that an operator removes is over for all', async () => {
  const shared = memoryBans()
  const list = new BanList(() => 0, shared)
  list.add(ban)
  await list.exchange()
  await list.exchange()
  await shared.remove(ban.client)
  await list.exchange()
  assert.equal(list.has('192.0.2.7'), false)
})

test('while Redis is away a ban holds here; afterwards, and in a Redis that was emptied, everywhere', async () => {
  const shared = memoryBans()
  const [one, other] = [new BanList(() => 0, shared), new BanList(() => 0, shared)]
  shared.away = true
  one.add(ban)
  await one.exchange()
  assert.equal(one.has('192.0.2.7'), true)
  shared.away = false
  await one.exchange()
  await other.exchange()
  assert.equal(other.has('192.0.2.7'), true)
  shared.empty()
  await other.exchange()
  await other.exchange()
  assert.deepEqual(await shared.list(0), [ban])
})

test('who is banned does not get a place', () => {
  const list = new BanList(() => 0, undefined)
  list.add(ban)
  const gate = createGate([], [(address) => (list.has(address) ? banned : undefined)])
  assert.equal(gate.enter('192.0.2.7'), banned)
  assert.equal(typeof gate.enter('192.0.2.8'), 'function')
  assert.equal(banned.code, 421)
})
