import { Redis } from 'ioredis'
import type { RedisOptions as AllRedisOptions } from 'ioredis'

import type { Logger } from '../log.ts'
import { clusterConnector, loginOf } from './cluster-connector.ts'
import { describeAddress } from './redis-address.ts'
import type { RedisAddress } from './redis-address.ts'

/** Every client of ours is called `sluice:<service>:<pid>`; the last one out stops a Redis we started. */
export const clientNamePrefix = 'sluice:'

const connectMs = 3000

/** ioredis types its option `replyMapping` in a way exact optional properties do not allow; we never set it. */
type RedisOptions = Omit<AllRedisOptions, 'replyMapping'>

export interface ConnectionSettings {
  readonly address: RedisAddress
  /** Second part of the client name. */
  readonly service: string
  readonly log: Logger
}

/**
 * A connection for adding jobs and looking at queues. Fails fast: nothing is kept for later when Redis is away, what waits
 * for an answer for 3 s is rejected and the socket given up (one timer for the socket instead of one per command).
 */
export function connectProducer(settings: ConnectionSettings): Redis {
  return connect(settings, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    socketTimeout: 3000,
  })
}

/** A connection for workers: commands wait for Redis to come back. BullMQ blocks up to 10 s on a copy of it. */
export function connectWorker(settings: ConnectionSettings): Redis {
  return connect(settings, { maxRetriesPerRequest: null, socketTimeout: 15_000 })
}

/** A connection that hears what others publish. Fails fast as a producer's; who listens subscribes again when it was lost. */
export function connectSubscriber(settings: ConnectionSettings): Redis {
  return connect(settings, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResubscribe: false,
    socketTimeout: 3000,
  })
}

/**
 * One try, no reconnecting: rejects within `timeoutMs` (of each host that is asked for the way) when nobody answers. The caller
 * disconnects.
 */
export async function connectOnce(address: RedisAddress, name: string, timeoutMs: number): Promise<Redis> {
  const options: RedisOptions = {
    ...addressOptions(address, timeoutMs, false),
    sentinelRetryStrategy: () => null,
    connectionName: name,
    lazyConnect: true,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    connectTimeout: timeoutMs,
    commandTimeout: timeoutMs,
  }
  const redis = new Redis(options)
  redis.on('error', () => {})
  try {
    await redis.connect()
    return redis
  } catch (error) {
    redis.disconnect()
    throw error
  }
}

/** Ends the connection politely, or by force after a second. Never throws. */
export async function disconnect(redis: Redis): Promise<void> {
  if (redis.status === 'end') return
  if (redis.status !== 'ready') return redis.disconnect()
  const ended = new Promise<void>((resolve) => {
    redis.once('end', resolve)
  })
  const timer = setTimeout(() => redis.disconnect(), 1000)
  redis.quit().catch(() => redis.disconnect())
  await ended
  clearTimeout(timer)
}

/** Resolves true once the connection is ready, false when it is not within `timeoutMs`. */
export async function becomesReady(redis: Redis, timeoutMs: number): Promise<boolean> {
  if (redis.status === 'ready') return true
  return new Promise((resolve) => {
    const settle = (ready: boolean) => {
      clearTimeout(timer)
      redis.off('ready', onReady)
      redis.off('end', onEnd)
      resolve(ready)
    }
    const onReady = () => settle(true)
    const onEnd = () => settle(false)
    const timer = setTimeout(() => settle(false), timeoutMs)
    redis.once('ready', onReady)
    redis.once('end', onEnd)
  })
}

function connect(settings: ConnectionSettings, special: RedisOptions): Redis {
  const options: RedisOptions = {
    ...addressOptions(settings.address, connectMs, true),
    connectionName: `${clientNamePrefix}${settings.service}:${process.pid}`,
    connectTimeout: connectMs,
    keepAlive: 10_000,
    noDelay: true,
    disableClientInfo: true,
    retryStrategy: (times) => Math.min(50 * 2 ** Math.min(times, 6), 2000),
    // Another one is the primary now, or has our keys: the way to it is asked for again.
    reconnectOnError: (error) => /^(READONLY|LOADING|MASTERDOWN|MOVED|ASK|CLUSTERDOWN) /.test(error.message),
    ...special,
  }
  const redis = new Redis(options)
  // As many may wait for it as ask at once. BullMQ adds to this number and takes away from it: no limit at all would become a small one.
  redis.setMaxListeners(1_000_000)
  reportState(redis, settings)
  return redis
}

/** One line when the connection is lost and one when it is back; an 'error' event without a listener would end the process. */
function reportState(redis: Redis, { address, service, log }: ConnectionSettings): void {
  let lost = false
  redis.on('error', (error: Error) => {
    if (lost) return
    lost = true
    log.warn({ redis: describeAddress(address), service, error: error.message }, 'Redis does not answer')
  })
  redis.on('close', () => {
    if (lost || redis.status === 'end') return
    lost = true
    log.warn({ redis: describeAddress(address), service }, 'connection to Redis lost')
  })
  redis.on('ready', () => {
    if (lost) log.info({ redis: describeAddress(address), service }, 'connected to Redis again')
    lost = false
  })
}

/** `isPatient`: where the way to it is asked for, that is done until it is known. */
function addressOptions(address: RedisAddress, timeoutMs: number, isPatient: boolean): RedisOptions {
  switch (address.kind) {
    case 'socket':
      return { path: address.path, ...(address.password === undefined ? {} : { password: address.password }) }
    case 'tcp':
      return { host: address.host, port: address.port, db: address.database, ...loginOf(address) }
    case 'cluster':
      return { Connector: clusterConnector(address, timeoutMs, isPatient), ...loginOf(address) }
    case 'sentinel':
      return {
        name: address.name,
        role: 'master',
        sentinels: address.sentinels.map((node) => ({ ...node })),
        sentinelCommandTimeout: timeoutMs,
        ...(address.sentinelPassword === undefined ? {} : { sentinelPassword: address.sentinelPassword }),
        ...(address.tls ? { enableTLSForSentinelMode: true, sentinelTLS: {} } : {}),
        db: address.database,
        ...loginOf(address),
      }
  }
}
