import { expire, keepFor, promoteNext, scriptCaller } from './lane-scripts.ts'
import type { Producer } from './producer.ts'
import { reach } from './unavailable.ts'

/** A concurrency limit per destination that all workers of all processes share. */
export interface Lanes {
  /**
   * Takes a slot of the destination, or is refused when `limit` are taken. Asking again with the same holder renews.
   * A slot that is not renewed within `ttlMs` is free again, so that a dead worker holds up nobody. `parked`: how many wait on its list.
   */
  acquire(
    destination: string,
    limit: number,
    holder: string,
    ttlMs: number,
  ): Promise<{ readonly granted: boolean; readonly parked: number }>
  /** False when the slot was lost meanwhile. */
  renew(destination: string, holder: string, ttlMs: number): Promise<boolean>
  /** Gives the slot back and moves the job that waits longest for the destination to the head of its queue, unless told not to. */
  release(destination: string, holder: string, bringNext?: boolean): Promise<void>
  /** Moves the job that waits longest on the destination's list to the head of its queue; false when none waits. */
  bringNext(destination: string): Promise<boolean>
  /**
   * Puts a delayed job on the destination's list: the oldest message on it is promoted when a slot is released, or at once
   * when one is free. A worker's `later` with `lane` does this by itself.
   */
  park(parked: ParkedJob): Promise<void>
  state(destination: string): Promise<{ readonly active: number; readonly parked: number }>
  /** How many jobs are on the lists of all these destinations together; one that was brought forward since may be among them. */
  parked(destinations: readonly string[]): Promise<number>
}

export interface ParkedJob {
  readonly destination: string
  readonly limit: number
  readonly queue: string
  readonly jobId: string
  /** Smaller goes first: the time the message was accepted. */
  readonly order: number
}

const scripts = {
  sluiceAcquire: {
    keys: 2,
    lua: `${expire}${keepFor}
if redis.call('ZSCORE', KEYS[1], ARGV[2]) or redis.call('ZCARD', KEYS[1]) < tonumber(ARGV[1]) then
  redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[2])
  keepFor(KEYS[1], tonumber(ARGV[3]))
  return -1
end
return redis.call('ZCARD', KEYS[2])`,
  },
  sluiceRenew: {
    keys: 1,
    lua: `${expire}${keepFor}
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
keepFor(KEYS[1], tonumber(ARGV[2]))
return 1`,
  },
  sluiceRelease: {
    keys: 2,
    lua: `${promoteNext}
redis.call('ZREM', KEYS[1], ARGV[1])
if ARGV[3] == '0' then return 0 end
return promoteNext(KEYS[2], ARGV[2])`,
  },
  sluiceBringNext: {
    keys: 1,
    lua: `${promoteNext}
return promoteNext(KEYS[1], ARGV[1])`,
  },
  sluicePark: {
    keys: 2,
    lua: `${expire}${promoteNext}
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[2])
redis.call('PEXPIRE', KEYS[2], 86400000)
if redis.call('ZCARD', KEYS[1]) < tonumber(ARGV[1]) then return promoteNext(KEYS[2], ARGV[4]) end
return 0`,
  },
}

/** Every call rejects with QueueUnavailableError while Redis is away. */
export function openLanes(producer: Producer, prefix: string): Lanes {
  const call = scriptCaller(producer, scripts)
  const leases = (destination: string) => `${prefix}:@lane:${destination}`
  const parked = (destination: string) => `${prefix}:@lane:${destination}:parked`
  return {
    async acquire(destination, limit, holder, ttlMs) {
      const keys = [leases(destination), parked(destination)]
      const waiting = Number(await call('sluiceAcquire', ...keys, limit, holder, ttlMs))
      return { granted: waiting < 0, parked: Math.max(0, waiting) }
    },
    async renew(destination, holder, ttlMs) {
      return (await call('sluiceRenew', leases(destination), holder, ttlMs)) === 1
    },
    async release(destination, holder, bringNext = true) {
      await call('sluiceRelease', leases(destination), parked(destination), holder, prefix, bringNext ? 1 : 0)
    },
    async bringNext(destination) {
      return (await call('sluiceBringNext', parked(destination), prefix)) === 1
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
    parked: (destinations) =>
      reach(async () => {
        const redis = await producer.ready()
        const counts = await Promise.all(destinations.map((destination) => redis.zcard(parked(destination))))
        return counts.reduce((sum, count) => sum + count, 0)
      }),
  }
}
