import type { Producer } from './producer.ts'
import { reach } from './unavailable.ts'

/** A client that may not connect for a while. */
export interface Ban {
  /** As `clientOf` says it: an IPv4 address, or the first four groups of an IPv6 address. */
  readonly client: string
  readonly since: number
  /** Epoch ms. */
  readonly until: number
  readonly reason: string
}

/** The bans of all inbound processes. Every call rejects with QueueUnavailableError while Redis is away. */
export interface Bans {
  add(ban: Ban): Promise<void>
  /** False when there is none. */
  remove(client: string): Promise<boolean>
  /** Those in force at `now`. */
  list(now: number): Promise<readonly Ban[]>
  /** Another one after each change; undefined: nothing was ever banned, or Redis was emptied. */
  version(): Promise<string | undefined>
}

/** Beyond it nobody is banned: whoever has so many addresses is not kept out by it. */
const mostBans = 100_000

export function openBans(producer: Producer, prefix: string): Bans {
  const key = `${prefix}:@bans`
  const versionKey = `${key}:version`
  return {
    add: (ban) =>
      reach(async () => {
        const redis = await producer.ready()
        if ((await redis.hlen(key)) >= mostBans) return
        await redis.multi().hset(key, ban.client, JSON.stringify(ban)).incr(versionKey).exec()
      }),
    remove: (client) =>
      reach(async () => {
        const redis = await producer.ready()
        if ((await redis.hdel(key, client)) === 0) return false
        await redis.incr(versionKey)
        return true
      }),
    list: (now) =>
      reach(async () => {
        const redis = await producer.ready()
        const stored = Object.entries(await redis.hgetall(key))
        const known = stored.map(([client, text]) => ({ client, ban: parseBan(text) }))
        const over = known.filter(({ ban }) => ban === undefined || ban.until <= now).map(({ client }) => client)
        if (over.length > 0) await redis.hdel(key, ...over)
        return known.flatMap(({ ban }) => (ban === undefined || ban.until <= now ? [] : [ban]))
      }),
    version: () => reach(async () => (await (await producer.ready()).get(versionKey)) ?? undefined),
  }
}

function parseBan(text: string): Ban | undefined {
  try {
    const ban = JSON.parse(text) as Partial<Ban> | null
    const { client, since, until, reason } = ban ?? {}
    if (typeof client !== 'string' || typeof until !== 'number') return undefined
    return {
      client,
      until,
      since: typeof since === 'number' ? since : 0,
      reason: typeof reason === 'string' ? reason : '',
    }
  } catch {
    return undefined
  }
}
