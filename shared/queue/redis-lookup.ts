import { Redis } from 'ioredis'

/** A Redis that is only read from, beside the one of the queues. */
export interface RedisLookup {
  /** Rejects when Redis is away, or the socket is silent for the time of an answer. */
  ask(command: string, ...keys: readonly string[]): Promise<unknown>
  close(): Promise<void>
}

export interface RedisLookupOptions {
  readonly place:
    | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
    | { readonly kind: 'unix'; readonly path: string }
  readonly database: number
  readonly username?: string
  readonly password?: string
  readonly tls: boolean
  /** In PEM; absent: the well-known authorities. */
  readonly ca?: string
  /** To connect, and for one answer. */
  readonly timeoutMs: number
}

/** Connects at the first question, and again when the connection was lost. Questions share one connection, as they come. */
export function openRedisLookup(options: RedisLookupOptions): RedisLookup {
  const { place, database, username, password, tls, ca, timeoutMs } = options
  const redis = new Redis({
    ...(place.kind === 'unix' ? { path: place.path } : { host: place.host, port: place.port }),
    db: database,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(tls ? { tls: ca === undefined ? {} : { ca } } : {}),
    lazyConnect: true,
    disableClientInfo: true,
    connectTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    maxRetriesPerRequest: 1,
    retryStrategy: (times) => Math.min(50 * 2 ** Math.min(times, 6), 2000),
  })
  let reason: Error | undefined
  redis.on('error', (error: Error) => (reason = error))
  redis.on('ready', () => (reason = undefined))
  return {
    async ask(command, ...keys) {
      try {
        return await redis.call(command, ...keys)
      } catch (error) {
        throw reason ?? error
      }
    },
    async close() {
      redis.disconnect()
    },
  }
}
