import { setTimeout as sleep } from 'node:timers/promises'

import type { SpoolWriter } from '../append-log.ts'
import { newWriterName } from '../segment-name.ts'
import { alivePrefix, deadPrefix } from './keys.ts'
import { BucketError } from './object-store.ts'
import type { ObjectStore } from './object-store.ts'

/**
 * A writer is alive while its object `alive/<writer>` is younger than 90 s, by the clock of the store alone; it is put every 15 s. The
 * writer acknowledges only what the store says it had at most 45 s after the last heartbeat: nobody had declared it dead by then, so
 * whoever lists after declaring it dead sees everything that was acknowledged. Clocks of hosts do not matter, nor does a machine that
 * was asleep.
 */
export const heartbeatMs = 15_000
export const leaseMs = 45_000
export const deadAfterMs = 90_000

const showsWithinMs = 10_000
const lookAgainMs = 200

/** One life of a writing process, as an object in the bucket. */
export class BucketWriter implements SpoolWriter {
  readonly name: string
  readonly #store: ObjectStore
  #beatAt: number
  #isOver = false
  #beating: Promise<void> | undefined

  /**
   * Resolves when others see it.
   * @throws Error when a listing does not show what was put: outcomes would be overlooked in such a store
   */
  static async create(store: ObjectStore, prefix: string): Promise<BucketWriter> {
    const name = newWriterName(prefix)
    const { at } = await store.put(alivePrefix + name, noOctets)
    for (let waitedMs = 0; ; waitedMs += lookAgainMs) {
      const { objects } = await store.list(alivePrefix + name)
      if (objects.length > 0) return new BucketWriter(store, name, at)
      if (waitedMs >= showsWithinMs) throw lists(store)
      await sleep(lookAgainMs)
    }
  }

  private constructor(store: ObjectStore, name: string, at: number) {
    this.#store = store
    this.name = name
    this.#beatAt = at
  }

  /** Ended, or its lease had run out at a heartbeat. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** Was it surely not declared dead when the store said so? */
  isOwnAt(at: number): boolean {
    return !this.#isOver && at - this.#beatAt < leaseMs
  }

  /** Between heartbeats that came too late it may have been declared dead: then it is over. Never two at once. */
  beat(): Promise<void> {
    this.#beating ??= this.#beat().finally(() => {
      this.#beating = undefined
    })
    return this.#beating
  }

  /** It writes no more. */
  end(): void {
    this.#isOver = true
  }

  async close(): Promise<void> {
    this.#isOver = true
    await this.#beating?.catch(() => undefined)
    await this.#store.remove([alivePrefix + this.name])
  }

  async #beat(): Promise<void> {
    if (this.#isOver) return
    const { at } = await this.#store.put(alivePrefix + this.name, noOctets)
    if (at - this.#beatAt >= leaseMs) this.#isOver = true
    this.#beatAt = at
  }
}

/** From here on this writer acknowledges nothing more. */
export async function declareDead(store: ObjectStore, writer: string): Promise<void> {
  await store.put(deadPrefix + writer, noOctets)
  await store.remove([alivePrefix + writer])
}

const noOctets = Buffer.alloc(0)

function lists({ name }: ObjectStore): BucketError {
  return new BucketError(
    `${name}: a listing does not show what was stored ${showsWithinMs / 1000} s before; a spool needs a store whose listings are up to date (AWS, MinIO, Ceph, R2)`,
  )
}
