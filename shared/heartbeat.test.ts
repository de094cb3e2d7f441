import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { readHeartbeats, startHeartbeats } from './heartbeat.ts'

test('what a service says of itself is read by others, and gone when it stops', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'beat-'))
  t.after(() => rm(folder, { recursive: true }))
  const now = () => 1_000_000
  const service = { service: 'filter', listens: [], lastJobAt: () => 999_000, troubles: async () => ['Redis is away'] }
  const beats = await startHeartbeats(folder, [service], now)
  const [heartbeat] = await readHeartbeats(folder, 1_001_000)
  assert.equal(heartbeat?.service, 'filter')
  assert.equal(heartbeat?.lastJobAt, 999_000)
  assert.deepEqual(heartbeat?.troubles, ['Redis is away'])
  await beats.stop()
  assert.deepEqual(await readHeartbeats(folder, 1_001_000), [])
})

test('what a service works off is told by it, what its process added by one service', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'beat-'))
  t.after(() => rm(folder, { recursive: true }))
  const done = { slot: 7, counts: [3], times: [1, 2] }
  const work = { queue: 'filter', handlers: 4, busy: 1, done }
  const quiet = { listens: [], lastJobAt: () => undefined, troubles: async () => [] }
  const services = [
    { ...quiet, service: 'dashboard' },
    { ...quiet, service: 'filter', work: () => work },
  ]
  const beats = await startHeartbeats(folder, services, () => 0, { added: () => new Map([['filter', done]]) })
  const found = await readHeartbeats(folder, 0)
  const by = new Map(found.map((one) => [one.service, one]))
  assert.deepEqual([by.get('filter')?.work, by.get('filter')?.added], [work, undefined])
  assert.deepEqual([by.get('dashboard')?.work, by.get('dashboard')?.added], [undefined, { filter: done }])
  await beats.stop()
})

test('a folder without heartbeats is no error, and forgotten ones go after an hour', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'beat-'))
  t.after(() => rm(folder, { recursive: true }))
  assert.deepEqual(await readHeartbeats(folder, 0), [])
  const service = { service: 'relay', listens: [], lastJobAt: () => undefined, troubles: async () => [] }
  const beats = await startHeartbeats(folder, [service], () => 0)
  assert.deepEqual(await readHeartbeats(folder, 3_600_001), [])
  await beats.stop()
})
