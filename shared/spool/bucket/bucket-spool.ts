import { prepareKeys, RecordSpool } from '../record-spool.ts'
import type { RecordSpoolOptions } from '../record-spool.ts'
import { BucketContent, BucketDraft } from './bucket-content.ts'
import type { ContentPlace } from './bucket-content.ts'
import { MessageObjects, OutcomeObjects } from './bucket-log.ts'
import type { OutcomeObjectsLimits } from './bucket-log.ts'
import { BucketVolume } from './bucket-volume.ts'
import { BucketWriter, heartbeatMs } from './bucket-writer.ts'
import type { ObjectStore } from './object-store.ts'
import { ReadCache } from './read-cache.ts'

/** The reserve is of the cache's disk, the quota of all objects. */
export interface BucketSpoolOptions extends RecordSpoolOptions {
  readonly store: ObjectStore
  /** Folder of this host's read cache; large contents come in through it. */
  readonly cachePath: string
  readonly cacheBytes: number
  readonly outcomeLogs?: OutcomeObjectsLimits
  /** How often it says that it is alive; 15 s when left out. */
  readonly heartbeatMs?: number
  /** A log of outcomes is made one object at this age. */
  readonly logAgeMs?: number
}

/** A listing costs money; what this process stores in between it counts itself. */
const quotaFreshMs = 30_000
const trimEach = 4

/** The bucket as readers see it. */
export async function openBucketVolume(
  store: ObjectStore,
  { cachePath, cacheBytes, clock }: Pick<BucketSpoolOptions, 'cachePath' | 'cacheBytes' | 'clock'>,
): Promise<BucketVolume> {
  return new BucketVolume(store, await ReadCache.open(cachePath, cacheBytes), clock)
}

/**
 * Opens the spool in a bucket for reading and writing. Rejects when the bucket cannot be written or listed.
 * @throws SpoolKeyError when records in it need a key that is not known
 */
export async function openBucketSpool(options: BucketSpoolOptions): Promise<BucketSpool> {
  const { store, writer } = options
  const volume = await openBucketVolume(store, options)
  await prepareKeys(volume, options)
  return new BucketSpool(options, volume, await BucketWriter.create(store, writer))
}

/** The spool in a bucket that several hosts share, without a file system of theirs. */
export class BucketSpool extends RecordSpool<BucketVolume> {
  protected readonly messages: MessageObjects
  protected readonly outcomes: OutcomeObjects
  readonly #options: BucketSpoolOptions
  readonly #heartbeat: NodeJS.Timeout
  readonly #beating = new OneAtATime(() => this.#beat())
  /** Apart: a store that is slow to delete, or a large cache, must not cost the writer its lease. */
  readonly #tidying = new OneAtATime(() => this.#tidy())
  #writer: BucketWriter | undefined
  #makingWriter: Promise<BucketWriter> | undefined
  #ownFiles = 0
  #tidied = 0
  /** Why the last heartbeat failed. */
  #trouble: Error | undefined

  constructor(options: BucketSpoolOptions, volume: BucketVolume, writer: BucketWriter) {
    super(options, {
      volume,
      outcomes: new BucketVolume(volume.store, volume.cache, options.clock),
      disk: options.cachePath,
      used: { usedBytes: () => volume.usedBytes(), freshMs: quotaFreshMs },
    })
    this.#options = options
    this.#writer = writer
    const log = {
      store: volume.store,
      cache: volume.cache,
      writer: () => this.#currentWriter(),
      onDeclaredDead: (dead: BucketWriter) => dead.end(),
    }
    this.messages = new MessageObjects(log)
    this.outcomes = new OutcomeObjects(log, options.outcomeLogs)
    this.#heartbeat = setInterval(() => {
      this.#beating.start()
      this.#tidying.start()
    }, options.heartbeatMs ?? heartbeatMs)
    this.#heartbeat.unref()
  }

  /** The last heartbeat was a write. */
  async check(): Promise<void> {
    if (this.#trouble !== undefined) throw this.#trouble
  }

  async close(): Promise<void> {
    if (!this.takeNoMore()) return
    clearInterval(this.#heartbeat)
    await this.messages.close()
    await this.outcomes.close()
    await Promise.all([this.#beating.done, this.#tidying.done])
    await this.letGo()
    await this.#makingWriter?.catch(() => undefined)
    await this.#writer?.close().catch(() => undefined)
    await this.volume.close()
    this.volume.store.close()
  }

  protected async openContent(): Promise<BucketContent> {
    return new BucketContent(await this.#nextPlace(), this.atRest)
  }

  protected async openDraft(): Promise<BucketDraft> {
    return new BucketDraft(await this.#nextPlace())
  }

  async #nextPlace(): Promise<ContentPlace> {
    const writer = await this.#currentWriter()
    this.#ownFiles += 1
    return { store: this.volume.store, cache: this.volume.cache, writer, sequence: this.#ownFiles }
  }

  /** A new one after the last was, or may have been, declared dead. */
  async #currentWriter(): Promise<BucketWriter> {
    if (this.#writer?.isOver === false) return this.#writer
    this.#makingWriter ??= BucketWriter.create(this.volume.store, this.#options.writer).finally(() => {
      this.#makingWriter = undefined
    })
    this.#writer = await this.#makingWriter
    return this.#writer
  }

  /** Never rejects: a heartbeat that fails is noticed by the next write, or by others. */
  async #beat(): Promise<void> {
    this.#trouble = await this.#currentWriter()
      .then((writer) => writer.beat())
      .then(
        () => undefined,
        (error: unknown) => (error instanceof Error ? error : new Error(String(error))),
      )
  }

  /** Never rejects. */
  async #tidy(): Promise<void> {
    const now = this.clock.now()
    this.reader.closeIdle()
    await this.outcomes.rotate(now, this.#options.logAgeMs ?? 600_000)
    this.#tidied += 1
    if (this.#tidied % trimEach === 0) await this.volume.cache.trim(now).catch(() => undefined)
  }
}

/** Work that is begun again and again, but not before it was done: a store that is slow is not asked more often for it. */
class OneAtATime {
  readonly #work: () => Promise<void>
  #running: Promise<void> | undefined

  constructor(work: () => Promise<void>) {
    this.#work = work
  }

  start(): void {
    this.#running ??= this.#work().finally(() => {
      this.#running = undefined
    })
  }

  /** Resolves when what is under way is done. */
  get done(): Promise<void> {
    return this.#running ?? Promise.resolve()
  }
}
