import type { RedisBackend } from '../config/table-backend.ts'
import { openRedisLookup } from '../queue/redis-lookup.ts'
import { askedFor } from './asked-for.ts'
import type { KeyedSource } from './key-table.ts'

/** Keys of a Redis: GET and HGET give their value, SMEMBERS all members, SISMEMBER says whether there is one. */
export function openRedisTable(backend: RedisBackend): KeyedSource {
  const redis = openRedisLookup(backend)
  return {
    async lookup(key, service) {
      const command = askedFor(backend.commands, service, 'query')
      const words = command.arguments.map((template) => template.expand(key))
      if (!words.every((word) => word !== undefined)) return undefined
      return valueOf(await redis.ask(command.name, ...words))
    },
    close: () => redis.close(),
  }
}

function valueOf(reply: unknown): string | undefined {
  if (reply === null || reply === 0) return undefined
  if (reply === 1) return ''
  if (typeof reply === 'string') return reply
  if (Array.isArray(reply)) return reply.length === 0 ? undefined : reply.map(String).join(', ')
  throw new Error('its answer is no text')
}
