import { scriptCaller } from './lane-scripts.ts'
import type { Producer } from './producer.ts'
import { lastPriority } from './sender-shares.ts'

/** Brings jobs of senders with much mail to the head of their queue, those that wait longest: in the end everything gets its turn. */
export type BringOldest = (queue: string, count: number) => Promise<void>

/** The first job of each priority is the one that waits longest there. */
const lua = `
local base = ARGV[1]
local prioritized = base .. 'prioritized'
if redis.call('ZCARD', prioritized) == 0 then return 0 end
local heads = {}
local function readHead(priority)
  local from = priority * 0x100000000
  local found = redis.call('ZRANGEBYSCORE', prioritized, from, '(' .. from + 0x100000000, 'LIMIT', 0, 1)
  local id = found[1]
  heads[priority] = id and {id, tonumber(redis.call('HGET', base .. id, 'timestamp') or '0')} or nil
end
for priority = 1, ${lastPriority} do readHead(priority) end
local moved = 0
for _ = 1, tonumber(ARGV[2]) do
  local oldest
  for priority, head in pairs(heads) do
    if not oldest or head[2] < heads[oldest][2] then oldest = priority end
  end
  if not oldest then break end
  local id = heads[oldest][1]
  redis.call('ZREM', prioritized, id)
  redis.call('RPUSH', base .. 'wait', id)
  moved = moved + 1
  readHead(oldest)
end
return moved`

export function openBringOldest(producer: Producer, prefix: string): BringOldest {
  const call = scriptCaller(producer, { sluiceBringOldest: { keys: 0, lua } })
  return async (queue, count) => {
    await call('sluiceBringOldest', `${prefix}:${queue}:`, count)
  }
}
