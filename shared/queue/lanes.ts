import type { Redis } from 'ioredis'

import type { Producer } from './producer.ts'
import { reach } from './unavailable.ts'

/** A concurrency limit per destination that all workers of all processes share. */
export interface Lanes {
  /**
   * Takes a slot of the destination, or is refused when `limit` are taken. Asking again with the same holder renews.
   * A slot that is not renewed within `ttlMs` is free again, so that a dead worker holds up nobody.
   */
  acquire(destination: string, limit: number, holder: string, ttlMs: number): Promise<{ readonly granted: boolean }>
  /** False when the slot was lost meanwhile. */
  renew(destination: string, holder: string, ttlMs: number): Promise<boolean>
  /** Gives the slot back and moves the job that waits longest for the destination to the head of its queue. */
  release(destination: string, holder: string): Promise<void>
  /**
   * Puts a delayed job on the destination's list: the oldest message on it is promoted when a slot is released, or at once
   * when one is free. A worker's `later` with `lane` does this by itself.
   */
  park(parked: ParkedJob): Promise<void>
  state(destination: string): Promise<{ readonly active: number; readonly parked: number }>
}

export interface ParkedJob {
  readonly destination: string
  readonly limit: number
  readonly queue: string
  readonly jobId: string
  /** Smaller goes first: the time the message was accepted. */
  readonly order: number
}

const expire = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
`

const keepFor = `
local function keepFor(key, ttl)
  if redis.call('PTTL', key) < ttl then redis.call('PEXPIRE', key, ttl) end
end
`

/** What BullMQ's promote does, but to the head of the queue: the job has waited its turn already. */
const promoteNext = `
local function promoteNext(parked, prefix)
  for _ = 1, 100 do
    local popped = redis.call('ZPOPMIN', parked)
    if #popped == 0 then return 0 end
    local queue, id = string.match(popped[1], '^([^/]+)/(.+)$')
    local base = prefix .. ':' .. queue .. ':'
    if redis.call('ZREM', base .. 'delayed', id) == 1 then
      redis.call('HSET', base .. id, 'delay', 0)
      redis.call('RPUSH', base .. 'wait', id)
      if redis.call('HEXISTS', base .. 'meta', 'paused') == 0 then
        redis.call('ZADD', base .. 'marker', 0, '0')
      end
      return 1
    end
  end
  return 0
end
`

const scripts = {
  sluiceAcquire: `${expire}${keepFor}
if redis.call('ZSCORE', KEYS[1], ARGV[2]) or redis.call('ZCARD', KEYS[1]) < tonumber(ARGV[1]) then
  redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[2])
  keepFor(KEYS[1], tonumber(ARGV[3]))
  return 1
end
return 0`,
  sluiceRenew: `${expire}${keepFor}
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
keepFor(KEYS[1], tonumber(ARGV[2]))
return 1`,
  sluiceRelease: `${promoteNext}
redis.call('ZREM', KEYS[1], ARGV[1])
return promoteNext(KEYS[2], ARGV[2])`,
  sluicePark: `${expire}${promoteNext}
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[2])
redis.call('PEXPIRE', KEYS[2], 3600000)
if redis.call('ZCARD', KEYS[1]) < tonumber(ARGV[1]) then return promoteNext(KEYS[2], ARGV[4]) end
return 0`,
} as const

const numbersOfKeys: Record<keyof typeof scripts, number> = {
  sluiceAcquire: 1,
  sluiceRenew: 1,
  sluiceRelease: 2,
  sluicePark: 2,
}

/** Every call rejects with QueueUnavailableError while Redis is away. */
export function openLanes(producer: Producer, prefix: string): Lanes {
  const script = scriptCaller(producer.redis)
  const call: ScriptCaller = (name, ...words) =>
    reach(async () => {
      await producer.ready()
      return script(name, ...words)
    })
  const leases = (destination: string) => `${prefix}:@lane:${destination}`
  const parked = (destination: string) => `${prefix}:@lane:${destination}:parked`
  return {
    async acquire(destination, limit, holder, ttlMs) {
      return { granted: (await call('sluiceAcquire', leases(destination), limit, holder, ttlMs)) === 1 }
    },
    async renew(destination, holder, ttlMs) {
      return (await call('sluiceRenew', leases(destination), holder, ttlMs)) === 1
    },
    async release(destination, holder) {
      await call('sluiceRelease', leases(destination), parked(destination), holder, prefix)
    },
    async park({ destination, limit, queue, jobId, order }) {
      await call('sluicePark', leases(destination), parked(destination), limit, `${queue}/${jobId}`, order, prefix)
    },
    state: (destination) =>
      reach(async () => {
        const redis = await producer.ready()
        const [active, waiting] = await Promise.all([
          redis.zcount(leases(destination), Date.now(), '+inf'),
          redis.zcard(parked(destination)),
        ])
        return { active, parked: waiting }
      }),
  }
}

type ScriptCaller = (name: keyof typeof scripts, ...words: readonly (string | number)[]) => Promise<unknown>

/** ioredis sends a script once and its hash from then on. */
function scriptCaller(redis: Redis): ScriptCaller {
  for (const name of Object.keys(scripts) as (keyof typeof scripts)[]) {
    redis.defineCommand(name, { lua: scripts[name], numberOfKeys: numbersOfKeys[name] })
  }
  const commands = redis as unknown as Record<
    keyof typeof scripts,
    (...words: readonly (string | number)[]) => Promise<unknown>
  >
  return (name, ...words) => commands[name](...words)
}
