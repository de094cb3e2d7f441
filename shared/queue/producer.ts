import { QueueKeys, RedisConnection, RedisQueueBackend } from 'bullmq'
import type { IQueueBackend } from 'bullmq'
import type { Redis } from 'ioredis'

import { becomesReady } from './connection.ts'
import { QueueUnavailableError } from './unavailable.ts'

/**
 * BullMQ's scripts over one fail-fast connection, for all queues. Every call rejects at once with QueueUnavailableError
 * while Redis is away; only a connection that was never up yet is waited for, up to 3 s.
 */
export class Producer {
  readonly redis: Redis
  readonly #prefix: string
  readonly #keys: QueueKeys
  #backend: RedisQueueBackend | undefined
  #wasReady = false

  constructor(redis: Redis, prefix: string) {
    this.redis = redis
    this.#prefix = prefix
    this.#keys = new QueueKeys(prefix)
    redis.once('ready', () => {
      this.#wasReady = true
    })
  }

  /** `<prefix>:<queue>:<type>` */
  key(queue: string, type: string): string {
    return `${this.#prefix}:${queue}:${type}`
  }

  keysOf(queue: string): ReturnType<QueueKeys['getKeys']> {
    return this.#keys.getKeys(queue)
  }

  /** BullMQ's operations on one queue. */
  async queue(name: string): Promise<IQueueBackend> {
    return (await this.backend()).forQueue(name)
  }

  /** @throws QueueUnavailableError when Redis is away. */
  async ready(): Promise<Redis> {
    if (this.redis.status === 'ready') return this.redis
    if (!this.#wasReady && (await becomesReady(this.redis, 3000))) return this.redis
    throw new QueueUnavailableError('Redis is away')
  }

  async backend(): Promise<RedisQueueBackend> {
    await this.ready()
    const backend = (this.#backend ??= this.#createBackend())
    try {
      await backend.client
      return backend
    } catch (error) {
      // BullMQ keeps a failed start for ever: the next call makes a new one.
      if (this.#backend === backend) this.#backend = undefined
      throw new QueueUnavailableError('Redis is away', { cause: error })
    }
  }

  #createBackend(): RedisQueueBackend {
    const connection = new RedisConnection(this.redis, { shared: true, blocking: false, skipVersionCheck: true })
    connection.on('error', () => {})
    const root = 'root'
    const toKey = (type: string) => this.key(root, type)
    const options = { connection: this.redis, prefix: this.#prefix }
    const backend = new RedisQueueBackend(connection, root, this.keysOf(root), toKey, options)
    backend.on('error', () => {})
    return backend
  }
}
