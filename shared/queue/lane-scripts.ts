import type { Producer } from './producer.ts'
import { reach } from './unavailable.ts'

/** Lua: `now`, epoch ms by the clock of Redis, the same for all processes. */
export const now = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
`

/** Lua: `now`, and leases of KEYS[1] that ended by then are gone. */
export const expire = `${now}
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
`

export const keepFor = `
local function keepFor(key, ttl)
  if redis.call('PTTL', key) < ttl then redis.call('PEXPIRE', key, ttl) end
end
`

/** What BullMQ's promote does, but to the head of the queue: the job has waited its turn already. */
export const promoteNext = `
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

/** A Lua script and how many of its arguments are keys, the first ones; absent: a number before them says it. */
export interface Script {
  readonly keys?: number
  readonly lua: string
}

export type CallScript<Name extends string> = (name: Name, ...words: readonly (string | number)[]) => Promise<unknown>

/** ioredis sends a script once and its hash from then on. Every call rejects with QueueUnavailableError while Redis is away. */
export function scriptCaller<Name extends string>(
  producer: Producer,
  scripts: Readonly<Record<Name, Script>>,
): CallScript<Name> {
  for (const [name, { keys, lua }] of Object.entries<Script>(scripts)) {
    producer.redis.defineCommand(name, { lua, ...(keys === undefined ? {} : { numberOfKeys: keys }) })
  }
  const commands = producer.redis as unknown as Record<
    Name,
    (...words: readonly (string | number)[]) => Promise<unknown>
  >
  return (name, ...words) =>
    reach(async () => {
      await producer.ready()
      return commands[name](...words)
    })
}
