import type { Lane } from '../mail/disposition.ts'
import { KnownNames, nameChanges, readNames } from './known-names.ts'
import { expire, keepFor, now, promoteNext, scriptCaller } from './lane-scripts.ts'
import type { Producer } from './producer.ts'
import { spreadMs } from './spread.ts'

/**
 * Destinations that asked for less, or cannot be reached, are left alone by all processes for a time that grows, then tried with one
 * message at a time, and with one more for each that went well.
 */
export interface BackOff {
  /**
   * Whether a message may go there now. A destination that nobody complained of costs no question of its own: what is suspended is read
   * once a second. `probe` must be given back with `leave`; after `ttlMs` it counts as given back.
   */
  enter(destination: string, holder: string, ttlMs: number): Promise<Entrance>
  /** `worked`: the destination took part in the transaction and did not ask for less. Then what waits for it is brought back. */
  leave(destination: string, holder: string, worked: boolean): Promise<void>
  /**
   * The destination asked for less, or could not be reached, in an attempt that began `elapsedMs` ago. Resolves with the milliseconds
   * it is left alone for: `firstMs`, doubled each time up to `longestMs`, ±10 %; 0 when that was said since, by one under way together.
   */
  complained(destination: string, pause: Pause, elapsedMs: number): Promise<number>
  /**
   * Nobody can go there for so long, though nobody complained now: all its hosts are left alone. Whoever asks waits until then, and so does
   * the one who says it.
   */
  closed(destination: string, forMs: number): Promise<Waiting>
  /** The next message for it may go now, as a probe: somebody wants it tried. */
  lift(destinations: readonly string[] | 'all'): Promise<void>
  /** Milliseconds for which each destination that is left alone still is. */
  pauses(): Promise<ReadonlyMap<string, number>>
}

export type Entrance = { readonly kind: 'open' } | { readonly kind: 'probe' } | Waiting

/** `lane`: where a job waits to be brought back before its time. */
export interface Waiting {
  readonly kind: 'wait'
  readonly waitMs: number
  readonly suspended: boolean
  readonly lane: Lane
}

export interface Pause {
  readonly firstMs: number
  readonly longestMs: number
}

/** Messages at a time with which a destination counts as recovered. */
const recovered = 20
const inLineMs = 10_000

const scripts = {
  sluiceNames: readNames,
  sluiceEnter: {
    keys: 4,
    lua: `${expire}${keepFor}${nameChanges}
local state = redis.call('HMGET', KEYS[2], 'until', 'window')
if not state[1] then
  removeName(KEYS[4], ARGV[3])
  return {'open'}
end
local left = tonumber(state[1]) - now
local parked = redis.call('ZCARD', KEYS[3])
if left > 0 then return {'suspended', left, 0, parked} end
local window = tonumber(state[2])
if redis.call('ZCARD', KEYS[1]) >= window then return {'line', 0, window, parked} end
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
keepFor(KEYS[1], tonumber(ARGV[2]))
return {'probe'}`,
  },
  sluiceLeave: {
    keys: 4,
    lua: `${expire}${promoteNext}${nameChanges}
redis.call('ZREM', KEYS[1], ARGV[1])
if ARGV[3] == '0' then return 0 end
local state = redis.call('HMGET', KEYS[2], 'until', 'window', 'points')
local most = tonumber(ARGV[5])
local window = most
if state[1] then
  if tonumber(state[1]) > now then return 0 end
  window = tonumber(state[2])
  if window < most then
    window = window + 1
    redis.call('HSET', KEYS[2], 'window', window)
  elseif tonumber(state[3]) > 1 then
    redis.call('HINCRBY', KEYS[2], 'points', -1)
  elseif redis.call('ZCARD', KEYS[3]) == 0 then
    redis.call('DEL', KEYS[2])
    removeName(KEYS[4], ARGV[4])
    return 0
  end
end
for _ = 1, window - redis.call('ZCARD', KEYS[1]) do
  if promoteNext(KEYS[3], ARGV[2]) == 0 then return 0 end
end
return 0`,
  },
  sluicePauses: {
    keys: 1,
    lua: `${now}
local found = {}
for _, name in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local left = tonumber(redis.call('HGET', KEYS[1] .. ':' .. name, 'until') or '0') - now
  if left > 0 then
    found[#found + 1] = name
    found[#found + 1] = left
  end
end
return found`,
  },
  sluiceLift: {
    keys: 1,
    lua: `${now}
local names = ARGV[1] == 'all' and redis.call('ZRANGE', KEYS[1], 0, -1) or {unpack(ARGV, 2)}
for _, name in ipairs(names) do
  local state = KEYS[1] .. ':' .. name
  if tonumber(redis.call('HGET', state, 'until') or '0') > now then redis.call('HSET', state, 'until', now) end
end
return 0`,
  },
  sluiceClosed: {
    keys: 3,
    lua: `${now}${nameChanges}
local state = redis.call('HMGET', KEYS[1], 'points', 'at', 'until')
local ends = math.max(now + tonumber(ARGV[2]), tonumber(state[3] or '0'))
redis.call('HSET', KEYS[1], 'points', state[1] or 0, 'at', state[2] or 0, 'until', ends, 'window', 1)
local keep = ends - now + 3600000
redis.call('PEXPIRE', KEYS[1], keep)
addName(KEYS[2], ARGV[1], now + keep)
return {ends - now, redis.call('ZCARD', KEYS[3])}`,
  },
  sluiceComplained: {
    keys: 2,
    lua: `${now}${nameChanges}
local state = redis.call('HMGET', KEYS[1], 'points', 'at')
if state[2] and tonumber(state[2]) > now - tonumber(ARGV[1]) then
  return 0
end
local points = math.min(tonumber(state[1] or '0') + 1, 16)
local longest = tonumber(ARGV[3])
local pause = math.min(tonumber(ARGV[2]) * 2 ^ (points - 1), longest)
pause = math.floor(pause * tonumber(ARGV[4]))
redis.call('HSET', KEYS[1], 'points', points, 'at', now, 'until', now + pause, 'window', 1)
local keep = pause + math.max(2 * longest, 3600000)
redis.call('PEXPIRE', KEYS[1], keep)
addName(KEYS[2], ARGV[5], now + keep)
return pause`,
  },
}

/** @param readAgainMs how old what is known of the suspended destinations may be */
export function openBackOff(producer: Producer, prefix: string, readAgainMs = 1_000): BackOff {
  const call = scriptCaller(producer, scripts)
  const index = `${prefix}:@back-off`
  const leases = (destination: string): string => `${prefix}:@lane:${backOffLane(destination)}`
  const parked = (destination: string): string => `${leases(destination)}:parked`
  const state = (destination: string): string => `${index}:${destination}`
  const known = new KnownNames(call, index, readAgainMs)

  return {
    async enter(destination, holder, ttlMs) {
      if (!(await known.has(destination))) return { kind: 'open' }
      const keys = [leases(destination), state(destination), parked(destination), index]
      const answer = (await call('sluiceEnter', ...keys, holder, ttlMs, destination)) as EnterAnswer
      // No reading tells of a name that was gone already.
      if (answer[0] === 'open') known.remove(destination)
      if (answer.length === 1) return { kind: answer[0] }
      const [kind, leftMs, window, parkedJobs] = answer
      const suspended = kind === 'suspended'
      return waiting(destination, suspended, suspended ? leftMs : inLineMs, parkedJobs, window)
    },
    async closed(destination, forMs) {
      const keys = [state(destination), index, parked(destination)]
      const answer = await known.add(destination, () => call('sluiceClosed', ...keys, destination, forMs))
      const [leftMs, parkedJobs] = answer as [number, number]
      return waiting(destination, true, leftMs, parkedJobs, 0)
    },
    async leave(destination, holder, worked) {
      const keys = [leases(destination), state(destination), parked(destination), index]
      await call('sluiceLeave', ...keys, holder, prefix, worked ? 1 : 0, destination, recovered)
    },
    async lift(destinations) {
      await call('sluiceLift', index, ...(destinations === 'all' ? ['all'] : ['these', ...destinations]))
    },
    async pauses() {
      const found = (await call('sluicePauses', index)) as readonly (string | number)[]
      return new Map(
        found.flatMap((name, at) => (at % 2 === 0 ? [[String(name), Number(found[at + 1])] as const] : [])),
      )
    },
    async complained(destination, { firstMs, longestMs }, elapsedMs) {
      const jitter = 0.9 + 0.2 * Math.random()
      const words = [state(destination), index, elapsedMs, firstMs, longestMs, jitter, destination]
      return Number(await known.add(destination, () => call('sluiceComplained', ...words)))
    },
  }
}

/** Where jobs wait for it. */
export function backOffLane(destination: string): string {
  return `back-off ${destination}`
}

function waiting(destination: string, suspended: boolean, leftMs: number, parked: number, limit: number): Waiting {
  const lane = { destination: backOffLane(destination), limit }
  return { kind: 'wait', waitMs: leftMs + spreadMs(parked), suspended, lane }
}

type EnterAnswer =
  | readonly [kind: 'open' | 'probe']
  | readonly [kind: 'suspended' | 'line', leftMs: number, window: number, parked: number]
