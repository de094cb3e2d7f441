import type { Producer } from './producer.ts'
import { scriptCaller } from './lane-scripts.ts'

/** What an operator lets a queue do at most, over all its workers. */
export interface QueueLimit {
  /** Jobs taken in a time; those that are put off at once count too. */
  readonly rate?: { readonly count: number; readonly periodMs: number }
  /** Jobs at work at a time. */
  readonly concurrency?: number
  readonly by: string
  /** Epoch ms. */
  readonly at: number
}

/** BullMQ's own limits of a queue, which its scripts keep when a job is taken: for all workers, and in the order of the queue. */
export interface QueueLimits {
  /** Those of these queues that have one. */
  read(queues: readonly string[]): Promise<ReadonlyMap<string, QueueLimit>>
  /** In force within a second; `undefined`: no limit. */
  set(queue: string, limit: QueueLimit | undefined): Promise<void>
}

/** Beside BullMQ's fields of a queue: who limited it. */
export const limitField = 'sluice.limit'

/** What was counted so far belongs to the limit before; the marker wakes workers that found the queue full. */
const lua = `
local meta, limiter, marker = KEYS[1], KEYS[2], KEYS[3]
redis.call('HDEL', meta, 'max', 'duration', 'concurrency', '${limitField}')
redis.call('DEL', limiter)
if ARGV[1] ~= '' then redis.call('HSET', meta, '${limitField}', ARGV[1]) end
if ARGV[2] ~= '' then redis.call('HSET', meta, 'max', ARGV[2], 'duration', ARGV[3]) end
if ARGV[4] ~= '' then redis.call('HSET', meta, 'concurrency', ARGV[4]) end
redis.call('ZADD', marker, 0, '0')`

export function openQueueLimits(producer: Producer): QueueLimits {
  const call = scriptCaller(producer, { sluiceLimit: { keys: 3, lua } })
  return {
    async read(queues) {
      const redis = await producer.ready()
      const texts = await Promise.all(queues.map((queue) => redis.hget(producer.key(queue, 'meta'), limitField)))
      return new Map(
        queues.flatMap((queue, index) => {
          const limit = parseLimit(texts[index])
          return limit === undefined ? [] : [[queue, limit] as const]
        }),
      )
    },
    async set(queue, limit) {
      const keys = ['meta', 'limiter', 'marker'].map((type) => producer.key(queue, type))
      const { rate, concurrency } = limit ?? {}
      const words = [limit === undefined ? '' : JSON.stringify(limit), rate?.count ?? '', rate?.periodMs ?? '']
      await call('sluiceLimit', ...keys, ...words, concurrency ?? '')
    },
  }
}

/** Undefined: there is none, or none of ours. */
export function parseLimit(text: unknown): QueueLimit | undefined {
  if (typeof text !== 'string') return undefined
  try {
    const limit = JSON.parse(text) as Partial<QueueLimit>
    return typeof limit.by === 'string' && typeof limit.at === 'number' ? (limit as QueueLimit) : undefined
  } catch {
    return undefined
  }
}
