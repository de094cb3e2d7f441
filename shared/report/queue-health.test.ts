import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { QueueFlow } from './flow.ts'
import { isBehind, processesFor, troubleOf } from './queue-health.ts'
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

test('with all workers busy the advice is a command that starts enough of them', () => {
  const trouble = troubleOf(queue(), flow(), minute)
  assert.match(
    trouble?.text ?? '',
    /waited for 3 min, the target is 1 min\. 8 of 8 workers are busy; more comes in than goes out/,
  )
  assert.deepEqual(trouble?.commands, [
    'docker compose up -d --no-recreate --scale filter=4 --wait',
    'queue "filter" concurrency 8',
  ])
  assert.match(troubleOf(queue(), flow({ outPerSecond: 5 }), minute)?.text ?? '', /through in 5 min/)
})

test('more workers are not advised where they would not help, nor where there are none', () => {
  const idle = troubleOf(queue(), flow({ busy: 2 }), minute)
  assert.match(idle?.text ?? '', /2 of 8 workers are busy, so more of them would not help/)
  assert.deepEqual(idle?.commands, [])
  assert.match(troubleOf(queue(), flow({ processes: 0 }), minute)?.text ?? '', /No living process works it off/)
  assert.match(troubleOf(queue(), undefined, minute)?.text ?? '', /No living process/)
})

test('at least one process more is advised, and at most four times as many', () => {
  assert.equal(processesFor(flow({ inPerSecond: 0 })), 3)
  assert.equal(processesFor(flow({ outPerSecond: 0 })), 3)
  assert.equal(processesFor(flow({ inPerSecond: 4 })), 5)
  assert.equal(processesFor(flow({ inPerSecond: 100 })), 8)
})
