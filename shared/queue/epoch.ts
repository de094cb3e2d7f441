import { randomBytes } from 'node:crypto'

import { parseInfo } from './check-redis.ts'
import type { Producer } from './producer.ts'

/** Tells an emptied Redis from the one we filled. */
export class Epoch {
  readonly #producer: Producer
  readonly #key: string
  #known: string | undefined

  constructor(producer: Producer, prefix: string) {
    this.#producer = producer
    this.#key = `${prefix}:epoch`
  }

  /** Marks this Redis as filled by us, unless it is marked already, and remembers the mark. */
  async ensure(): Promise<string> {
    const redis = await this.#producer.ready()
    const mark = `${randomBytes(9).toString('base64url')}.${await this.runId()}`
    await redis.set(this.#key, mark, 'NX')
    this.#known = (await redis.get(this.#key)) ?? mark
    return this.#known
  }

  /** The mark now; undefined when Redis was emptied or never filled. */
  async read(): Promise<string | undefined> {
    const redis = await this.#producer.ready()
    return (await redis.get(this.#key)) ?? undefined
  }

  /** True when Redis does not hold the mark of `since` (or of the last `ensure`): its jobs are gone, rebuild. */
  async wiped(since: string | undefined): Promise<boolean> {
    const known = since ?? this.#known
    const mark = await this.read()
    return mark === undefined || (known !== undefined && mark !== known)
  }

  /** Changes when the server restarts: with everysec up to the last second of adds may be missing then. */
  async runId(): Promise<string> {
    const redis = await this.#producer.ready()
    return parseInfo(await redis.info('server')).get('run_id') ?? ''
  }
}
