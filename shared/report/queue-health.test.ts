import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import type { QueueFlow } from './flow.ts'
import { isBehind, processesFor, throughIn, troubleOf } from './queue-health.ts'
import type { QueueView } from './views.ts'

const minute = 60_000

function queue(fields: Partial<QueueView> = {}): QueueView {
  return {
    name: 'filter',
    paused: false,
    waiting: 600,
    active: 8,
    delayed: 0,
    held: 0,
    oldestAgeMs: 3 * minute,
    ...fields,
  }
}

function flow(fields: Partial<QueueFlow> = {}): QueueFlow {
  return {
    service: 'filter',
    processes: 2,
    handlers: 8,
    busy: 8,
    inPerSecond: 3,
    outPerSecond: 2,
    incoming: [],
    ...fields,
  }
}

test('a queue is behind when its oldest message waits for longer than its target, and nobody paused it', () => {
  assert.equal(isBehind(queue(), minute), true)
  assert.equal(isBehind(queue(), 3 * minute), false)
  assert.equal(isBehind(queue({ paused: true }), minute), false)
  assert.equal(troubleOf(queue(), flow(), 5 * minute), undefined)
})

test('with all workers busy the advice is a command that starts enough of them, and when they would be through', () => {
  const trouble = troubleOf(queue(), flow(), minute)
  assert.match(
    trouble?.text ?? '',
    /waited for 3 min, the target is 1 min\. 8 of 8 workers are busy; more comes in than goes out\. 4 processes would be through in about 10 min\./,
  )
  assert.deepEqual(trouble?.commands, [
    'docker compose up -d --no-recreate --scale filter=4 --wait',
    'queue "filter" concurrency 8',
  ])
  const slow = troubleOf(queue(), flow({ outPerSecond: 5 }), minute)?.text ?? ''
  assert.match(
    slow,
    /at this pace what waits is through in about 5 min\. 3 processes would be through in about 3 min\./,
  )
  const flood = troubleOf(queue(), flow({ inPerSecond: 100 }), minute)?.text ?? ''
  assert.match(flood, /8 processes would not catch up, but it would grow more slowly\./)
  const stuck = troubleOf(queue(), flow({ outPerSecond: 0 }), minute)?.text ?? ''
  assert.match(stuck, /none was done with a message in the last minute\. How much 3 processes would do is not known\./)
})

test('a queue that catches up by itself within its target needs nobody', () => {
  const trouble = troubleOf(queue({ waiting: 80 }), flow({ outPerSecond: 5 }), minute)
  assert.match(trouble?.text ?? '', /at this pace what waits is through in about 40 s\.$/)
  assert.deepEqual(trouble?.commands, [])
})

test('what an operator limited is not made faster by more workers', () => {
  const by = { by: 'jane', at: 0 }
  const rated = queue({ limit: { rate: { count: 2, periodMs: 1_000 }, ...by } })
  const trouble = troubleOf(rated, flow(), minute)
  assert.match(trouble?.text ?? '', /jane limited it to 2\/s: more workers would not help\.$/)
  assert.deepEqual(trouble?.commands, ['sluicectl limit filter off'])
  const full = queue({ active: 4, limit: { concurrency: 4, ...by } })
  assert.match(troubleOf(full, flow({ busy: 4 }), minute)?.text ?? '', /limited it to 4 at a time/)
  const far = queue({ limit: { rate: { count: 50, periodMs: 1_000 }, concurrency: 20, ...by } })
  assert.match(troubleOf(far, flow(), minute)?.text ?? '', /4 processes would be through/)
})

test('more workers are not advised where they would not help, nor where there are none', () => {
  const idle = troubleOf(queue(), flow({ busy: 2 }), minute)
  assert.match(idle?.text ?? '', /2 of 8 workers are busy, so more of them would not help/)
  assert.deepEqual(idle?.commands, [])
  assert.match(troubleOf(queue(), flow({ processes: 0 }), minute)?.text ?? '', /No living process works it off/)
  assert.match(troubleOf(queue(), undefined, minute)?.text ?? '', /No living process/)
})

test('at least one process more is advised, and at most four times as many', () => {
  const few = queue({ waiting: 6 })
  assert.equal(processesFor(few, flow({ inPerSecond: 0 })), 3)
  assert.equal(processesFor(few, flow({ outPerSecond: 0 })), 3)
  assert.equal(processesFor(few, flow({ inPerSecond: 4 })), 5)
  assert.equal(processesFor(queue({ waiting: 1_200 }), flow({ inPerSecond: 4 })), 6)
  assert.equal(processesFor(few, flow({ inPerSecond: 100 })), 8)
})

test('as many processes as are advised have done what waits in ten minutes, unless four times as many cannot', () => {
  const numbers = fc.record({
    waiting: fc.integer({ min: 1, max: 100_000 }),
    processes: fc.integer({ min: 1, max: 20 }),
    inPerSecond: fc.double({ min: 0, max: 1_000, noNaN: true }),
    outPerSecond: fc.double({ min: 0.01, max: 1_000, noNaN: true }),
  })
  fc.assert(
    fc.property(numbers, ({ waiting, ...measured }) => {
      const [late, now] = [queue({ waiting }), flow(measured)]
      const advised = processesFor(late, now)
      const ms = throughIn(late, now, advised)
      assert.ok(advised > measured.processes && advised <= measured.processes * 4)
      assert.ok(advised === measured.processes * 4 || (ms !== undefined && ms <= 600_001), `${advised}: ${ms}`)
    }),
  )
})
