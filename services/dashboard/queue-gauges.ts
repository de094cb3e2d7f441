import { Gauge } from 'prom-client'
import type { Registry } from 'prom-client'

import { heldQueue } from '../../shared/queue/queues.ts'
import { readQueues } from '../../shared/report/read-queues.ts'
import type { ReadableQueues } from '../../shared/report/read-queues.ts'
import { withTimeLimit } from '../../shared/deadline.ts'
import type { QueueView } from '../../shared/report/views.ts'
import { oneLook } from './one-look.ts'

const limitMs = 1_500
const states = ['waiting', 'active', 'delayed', 'held'] as const

/**
 * Gauges of all queues, read when metrics are asked for. While Redis is away the numbers are absent, not old, and
 * `sluice_redis_up` is 0.
 */
export function registerQueueGauges(registry: Registry, queues: ReadableQueues): void {
  const registers = [registry]
  const look = oneLook(() => withTimeLimit(limitMs, 'no answer of Redis', readQueues(queues)).catch(() => undefined))

  function gauge(name: string, help: string, set: (gauge: Gauge<'queue' | 'state'>, queue: QueueView) => void): Gauge {
    return new Gauge({
      name,
      help,
      labelNames: ['queue', 'state'],
      registers,
      async collect() {
        const views = await look()
        this.reset()
        for (const view of views ?? []) set(this, view)
      },
    })
  }

  gauge(
    'sluice_queue_messages',
    'Messages in a queue by state (waiting, active, delayed, held; of those that are held 2000 are counted at most)',
    (one, queue) => {
      for (const state of states) one.set({ queue: queue.name, state }, queue[state])
    },
  )
  gauge('sluice_queue_oldest_seconds', 'How long the next waiting message of a queue has been due', (one, queue) => {
    one.set({ queue: queue.name }, (queue.oldestAgeMs ?? 0) / 1000)
  })
  gauge('sluice_queue_paused', '1 while the queue is paused', (one, queue) => {
    one.set({ queue: queue.name }, queue.paused ? 1 : 0)
  })
  gauge('sluice_queue_limit_per_second', 'Messages that an operator lets a queue take in a second', (one, queue) => {
    const rate = queue.limit?.rate
    if (rate !== undefined) one.set({ queue: queue.name }, (rate.count * 1000) / rate.periodMs)
  })
  gauge('sluice_queue_limit_concurrency', 'Messages that an operator lets be at work in a queue', (one, queue) => {
    const concurrency = queue.limit?.concurrency
    if (concurrency !== undefined) one.set({ queue: queue.name }, concurrency)
  })
  registerSingle(registry, {
    name: 'sluice_held_messages',
    help: 'Held messages of all queues',
    read: async () => (await queues.counts()).get(heldQueue)?.waiting ?? 0,
  })
  registerSingle(registry, {
    name: 'sluice_destinations_suspended',
    help: 'Destinations that are left alone for a while, for they asked for it or could not be reached',
    read: async () => (await queues.backOff.pauses()).size,
  })
  registerUp(registry, async () => (await look()) !== undefined)
}

interface Single {
  readonly name: string
  readonly help: string
  read(): Promise<number>
}

function registerSingle(registry: Registry, { name, help, read }: Single): Gauge {
  return new Gauge({
    name,
    help,
    registers: [registry],
    async collect() {
      const value = await withTimeLimit(limitMs, 'no answer of Redis', read()).catch(() => undefined)
      if (value === undefined) this.remove()
      else this.set(value)
    },
  })
}

function registerUp(registry: Registry, isUp: () => Promise<boolean>): Gauge {
  return new Gauge({
    name: 'sluice_redis_up',
    help: '1 when Redis answered to this scrape',
    registers: [registry],
    async collect() {
      this.set((await isUp()) ? 1 : 0)
    },
  })
}
