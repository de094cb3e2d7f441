import assert from 'node:assert/strict'
import { test } from 'node:test'

import { deadAfterMs } from '../heartbeat.ts'
import type { Heartbeat } from '../heartbeat.ts'
import { RateMeter, slotMs } from '../rate-meter.ts'
import { flowsOf } from './flow.ts'

const now = 1_000 * slotMs

function beat(service: string, fields: Partial<Heartbeat> = {}): Heartbeat {
  return { service, host: 'a', pid: 1, startedAt: 0, at: now, listens: [], troubles: [], ...fields }
}

/** So many a slot ago. */
function figures(count: number, tookMs = 1) {
  const meter = new RateMeter(() => now - slotMs)
  for (let number = 0; number < count; number += 1) meter.took(tookMs)
  return meter.figures()
}

test('the workers of all processes count together, and so does what any process added', () => {
  const flows = flowsOf(
    [
      beat('filter', { work: { queue: 'filter', handlers: 4, busy: 3, done: figures(30, 1) } }),
      beat('filter', { pid: 2, work: { queue: 'filter', handlers: 4, busy: 1, done: figures(30, 900) } }),
      beat('inbound', { pid: 3, added: { filter: figures(120), sign: figures(60) } }),
    ],
    now,
  )
  const filter = flows.get('filter')
  assert.deepEqual([filter?.service, filter?.processes, filter?.handlers, filter?.busy], ['filter', 2, 8, 4])
  assert.deepEqual([filter?.inPerSecond, filter?.outPerSecond], [2, 1])
  assert.ok((filter?.p95Ms ?? 0) >= 900)
  assert.deepEqual([flows.get('sign')?.inPerSecond, flows.get('sign')?.processes], [1, 0])
  assert.equal(flows.get('sign')?.p95Ms, undefined)
})

test('a process that is silent works off nothing', () => {
  const work = { queue: 'filter', handlers: 4, busy: 4, done: figures(1) }
  assert.equal(flowsOf([beat('filter', { at: now - deadAfterMs - 1, work })], now).size, 0)
})
