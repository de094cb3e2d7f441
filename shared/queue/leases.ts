import type { Producer } from './producer.ts'
import { reach } from './unavailable.ts'

/** What one of several processes does for all. Every call rejects with QueueUnavailableError while Redis is away. */
export interface Leases {
  /**
   * Takes the lease, or keeps it, for `ttlMs` from now on; false while another holder has it. An emptied Redis has forgotten it: for a
   * moment two may have it, so what is done under it must bear that.
   */
  hold(name: string, holder: string, ttlMs: number): Promise<boolean>
  /** Gives it back, so that the next one need not wait. */
  release(name: string, holder: string): Promise<void>
}

/** Lua: KEYS[1] for the holder ARGV[1] during ARGV[2] ms. */
const hold = `
local holder = redis.call('get', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('set', KEYS[1], ARGV[1], 'px', ARGV[2])
return 1`

const release = `if redis.call('get', KEYS[1]) == ARGV[1] then redis.call('del', KEYS[1]) end`

export function openLeases(producer: Producer, prefix: string): Leases {
  const keyOf = (name: string): string => `${prefix}:@lease:${name}`
  return {
    hold: (name, holder, ttlMs) =>
      reach(async () => (await (await producer.ready()).eval(hold, 1, keyOf(name), holder, ttlMs)) === 1),
    release: (name, holder) =>
      reach(async () => {
        await (await producer.ready()).eval(release, 1, keyOf(name), holder)
      }),
  }
}
