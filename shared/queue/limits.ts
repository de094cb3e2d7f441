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

/** What an operator decided last about a queue. With neither rate nor concurrency he lifted what there was. */
export type LimitDecision = QueueLimit

/** BullMQ's own limits of a queue, which its scripts keep when a job is taken: for all workers, and in the order of the queue. */
export interface QueueLimits {
  /** For those of these queues that one was ever decided for. */
  read(queues: readonly string[]): Promise<ReadonlyMap<string, LimitDecision>>
  /** In force within a second. */
  set(queue: string, decision: LimitDecision): Promise<void>
}

/** Beside BullMQ's fields of a queue: who limited it. */
export const limitField = 'sluice.limit'

/** What was counted so far belongs to the limit before; the marker wakes workers that found the queue full. */
const lua = `
local meta, limiter, marker = KEYS[1], KEYS[2], KEYS[3]
redis.call('HDEL', meta, 'max', 'duration', 'concurrency')
redis.call('DEL', limiter)
redis.call('HSET', meta, '${limitField}', ARGV[1])
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
          const decision = parseDecision(texts[index])
          return decision === undefined ? [] : [[queue, decision] as const]
        }),
      )
    },
    async set(queue, decision) {
      const keys = ['meta', 'limiter', 'marker'].map((type) => producer.key(queue, type))
      const { rate, concurrency } = decision
      const words = [JSON.stringify(decision), rate?.count ?? '', rate?.periodMs ?? '']
      await call('sluiceLimit', ...keys, ...words, concurrency ?? '')
    },
  }
}

/** Undefined: there is no limit, or none of ours. */
export function parseLimit(text: unknown): QueueLimit | undefined {
  const decision = parseDecision(text)
  return decision === undefined || isLifted(decision) ? undefined : decision
}

/** Undefined: there is none, or none of ours. */
export function parseDecision(text: unknown): LimitDecision | undefined {
  if (typeof text !== 'string') return undefined
  try {
    const decision = JSON.parse(text) as Partial<LimitDecision>
    return typeof decision.by === 'string' && typeof decision.at === 'number' ? (decision as LimitDecision) : undefined
  } catch {
    return undefined
  }
}

export function isLifted({ rate, concurrency }: LimitDecision): boolean {
  return rate === undefined && concurrency === undefined
}
