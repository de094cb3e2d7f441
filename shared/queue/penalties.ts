import { KnownNames, nameChanges, readNames } from './known-names.ts'
import { now, scriptCaller } from './lane-scripts.ts'
import type { Producer } from './producer.ts'

/** Hosts that gave no session, as all processes found out together. Every call rejects with QueueUnavailableError while Redis is away. */
export interface Penalties {
  /**
   * Milliseconds until the host may be tried; 0: now. When its time is over, the one who asks first gets 0, and the others wait `probeMs` for
   * what it finds. A host that nobody complained of costs no question: which ones have points is read once a second.
   */
  waitMs(host: string): Promise<number>
  /** It gave no session in an attempt that began `elapsedMs` ago. Those that were under way together count once. */
  failed(host: string, elapsedMs: number): Promise<void>
  /** Takes one point away, and it may be tried at once. */
  worked(host: string): Promise<void>
  /** Nothing was found out: the next one may try. */
  untried(host: string): Promise<void>
}

export interface PenaltySettings {
  /** With p points a host is left alone for `baseMs` x p², at most `longestMs`. */
  readonly baseMs: number
  readonly longestMs: number
  readonly probeMs: number
}

const scripts = {
  sluiceNames: readNames,
  sluiceMayTry: {
    keys: 1,
    lua: `${now}
local ends = tonumber(redis.call('HGET', KEYS[1], 'until') or '0')
if ends > now then return ends - now end
if ends > 0 then redis.call('HSET', KEYS[1], 'until', now + ARGV[1]) end
return 0`,
  },
  sluiceFailed: {
    keys: 2,
    lua: `${now}${nameChanges}
local state = redis.call('HMGET', KEYS[1], 'points', 'at')
if state[2] and tonumber(state[2]) > now - tonumber(ARGV[2]) then return 0 end
local points = tonumber(state[1] or '0') + 1
local pause = math.min(tonumber(ARGV[3]) * points * points, tonumber(ARGV[4]))
redis.call('HSET', KEYS[1], 'points', points, 'at', now, 'until', now + pause)
local keep = pause + 2 * tonumber(ARGV[4])
redis.call('PEXPIRE', KEYS[1], keep)
addName(KEYS[2], ARGV[1], now + keep)
return 1`,
  },
  sluiceWorked: {
    keys: 2,
    lua: `${now}${nameChanges}
local points = tonumber(redis.call('HGET', KEYS[1], 'points') or '0') - 1
if points > 0 then
  redis.call('HSET', KEYS[1], 'points', points, 'until', 0)
  return 1
end
redis.call('DEL', KEYS[1])
removeName(KEYS[2], ARGV[1])
return 0`,
  },
  sluiceUntried: {
    keys: 1,
    lua: `${now}
if tonumber(redis.call('HGET', KEYS[1], 'until') or '0') > 0 then redis.call('HSET', KEYS[1], 'until', now) end
return 0`,
  },
}

/** @param readAgainMs how old what is known of the hosts may be */
export function openPenalties(
  producer: Producer,
  prefix: string,
  { baseMs, longestMs, probeMs }: PenaltySettings = { baseMs: 15_000, longestMs: 3_600_000, probeMs: 60_000 },
  readAgainMs = 1_000,
): Penalties {
  const call = scriptCaller(producer, scripts)
  const index = `${prefix}:@penalties`
  const state = (host: string): string => `${index}:${host}`
  const known = new KnownNames(call, index, readAgainMs)

  return {
    async waitMs(host) {
      return (await known.has(host)) ? Number(await call('sluiceMayTry', state(host), probeMs)) : 0
    },
    async failed(host, elapsedMs) {
      await known.add(host, () => call('sluiceFailed', state(host), index, host, elapsedMs, baseMs, longestMs))
    },
    async worked(host) {
      if (known.had(host) && (await call('sluiceWorked', state(host), index, host)) === 0) known.remove(host)
    },
    async untried(host) {
      if (known.had(host)) await call('sluiceUntried', state(host))
    },
  }
}
