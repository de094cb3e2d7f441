import { now, scriptCaller } from './lane-scripts.ts'
import type { Producer } from './producer.ts'

/** Rates that all processes keep together, in a time that slides along. */
export interface RateGate {
  /**
   * Takes from all of them, or from none: then resolves with the milliseconds after which to ask again, each time it is asked one turn
   * later, so that what waits comes back one by one. 0: taken. An amount beyond the rate is given when nothing else was taken for a period.
   *
   * @param behind of a sender with much mail. The others have turns of their own, as if nobody of these waited; who finds a turn taken asks again.
   */
  take(takings: readonly Taking[], behind?: boolean): Promise<number>
}

export interface Taking {
  readonly key: string
  readonly amount: number
  readonly count: number
  readonly periodMs: number
}

/**
 * Counts in periods one after the other; of the one before, as much counts as still lies within the time that slides along. Until when that
 * leaves room is known, and the turns that were given out since come first.
 */
const lua = `${now}
local field = ARGV[3 * #KEYS + 1]
local waited = 0
local taken = {}
for i, key in ipairs(KEYS) do
  local amount = tonumber(ARGV[3 * i - 2])
  local count = tonumber(ARGV[3 * i - 1])
  local period = tonumber(ARGV[3 * i])
  local known = redis.call('HMGET', key, 'start', 'current', 'previous', field)
  local start = tonumber(known[1] or now)
  local current = tonumber(known[2] or '0')
  local previous = tonumber(known[3] or '0')
  local passed = math.floor((now - start) / period)
  if passed == 1 then
    previous, current, start = current, 0, start + period
  elseif passed > 1 then
    previous, current, start = 0, 0, now
  end
  local used = current + previous * (1 - (now - start) / period)
  if used > 0 and used + amount > count then
    local room = count - amount - current
    local free = start + period
    if previous > 0 and room >= 0 then
      free = start + period * (1 - room / previous)
    elseif current > 0 then
      free = free + period * (1 - math.max(0, count - amount) / current)
    end
    local turn = math.max(tonumber(known[4] or '0') + period * amount / count, free)
    turn = math.min(turn, math.max(free, now + 3600000))
    redis.call('HSET', key, field, math.ceil(turn))
    redis.call('PEXPIRE', key, math.max(2 * period, 3600000))
    waited = math.max(waited, turn - now)
  else
    taken[i] = {start, current + amount, previous, period}
  end
end
if waited > 0 then return math.max(1, math.ceil(waited)) end
for i, state in ipairs(taken) do
  redis.call('HSET', KEYS[i], 'start', state[1], 'current', state[2], 'previous', state[3])
  redis.call('PEXPIRE', KEYS[i], math.max(2 * state[4], 3600000))
end
return 0`

/** Every call rejects with QueueUnavailableError while Redis is away. */
export function openRateGate(producer: Producer, prefix: string): RateGate {
  const call = scriptCaller(producer, { sluiceTakeRate: { lua } })
  return {
    async take(takings, behind = false) {
      const keys = takings.map(({ key }) => `${prefix}:@rate:${key}`)
      const words = takings.flatMap(({ amount, count, periodMs }) => [amount, count, periodMs])
      const turns = behind ? 'turn behind' : 'turn'
      return Number(await call('sluiceTakeRate', keys.length, ...keys, ...words, turns))
    },
  }
}
