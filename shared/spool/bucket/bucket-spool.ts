import { systemClock } from '../../clock.ts'
import type { Clock } from '../../clock.ts'
import type { MessageId } from '../../mail/message-id.ts'
import { FreeSpace } from '../free-space.ts'
import { Incoming } from '../incoming.ts'
import { Keyring } from '../keyring.ts'
import { requireKeys } from '../known-keys.ts'
import { OutcomeIndex } from '../outcome-index.ts'
import { encodeOutcomes } from '../outcome-record.ts'
import { RecentMessages } from '../recent-messages.ts'
import type { RecordReader } from '../record-reader.ts'
import { atRestOf, encryptOutcomes } from '../record-wrap.ts'
import type { AtRest } from '../record-wrap.ts'
import type { Damage } from '../scan.ts'
import { storeIn } from '../spool.ts'
import type { IncomingContent, Locator, OutcomeRecord, SpooledMessage, StoredMessage } from '../spool.ts'
import type { OpenedSpool } from '../volume.ts'
import { BucketContent, BucketDraft } from './bucket-content.ts'
import type { ContentPlace } from './bucket-content.ts'
import { MessageObjects, OutcomeObjects } from './bucket-log.ts'
import type { OutcomeObjectsLimits } from './bucket-log.ts'
import { BucketVolume } from './bucket-volume.ts'
import { BucketWriter, heartbeatMs } from './bucket-writer.ts'
import type { ObjectStore } from './object-store.ts'
import { ReadCache } from './read-cache.ts'

export interface BucketSpoolOptions {
  readonly store: ObjectStore
  /** Folder of this host's read cache; large contents come in through it. */
  readonly cachePath: string
  readonly cacheBytes: number
  /** What the names of this process's writers begin with, e.g. `inbound`. */
  readonly writer: string
  /** Octets of the cache's disk that new mail must leave free. */
  readonly reserveBytes: number
  /** Octets that all objects may have together before new mail is refused; outcomes may go beyond. */
  readonly quotaBytes?: number
  readonly streamThresholdBytes?: number
  readonly outcomeLimit?: number
  readonly outcomeLogs?: OutcomeObjectsLimits
  /** How often it says that it is alive; 15 s when left out. */
  readonly heartbeatMs?: number
  /** A log of outcomes is made one object at this age. */
  readonly logAgeMs?: number
  readonly recentBytes?: number
  readonly compression?: boolean
  readonly encryption?: boolean
  readonly keyring?: Keyring
  readonly clock?: Clock
  onDamage?(damage: Damage): void
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
  const { store, writer, keyring = new Keyring([]), encryption = false, clock = systemClock } = options
  const volume = await openBucketVolume(store, options)
  await requireKeys(volume, keyring, clock)
  if (encryption && keyring.first !== undefined) await volume.keys.add(keyring.first.id)
  return new BucketSpool(options, volume, await BucketWriter.create(store, writer))
}

/** The spool in a bucket that several hosts share, without a file system of theirs. */
export class BucketSpool implements OpenedSpool {
  readonly volume: BucketVolume
  readonly keyring: Keyring
  readonly #options: BucketSpoolOptions
  readonly #atRest: AtRest | undefined
  readonly #clock: Clock
  readonly #space: FreeSpace
  readonly #messages: MessageObjects
  readonly #outcomes: OutcomeObjects
  readonly #reader: RecordReader
  readonly #recent: RecentMessages | undefined
  readonly #outcomeIndex: OutcomeIndex
  readonly #heartbeat: NodeJS.Timeout
  readonly #beating = new OneAtATime(() => this.#beat())
  /** Apart: a store that is slow to delete, or a large cache, must not cost the writer its lease. */
  readonly #tidying = new OneAtATime(() => this.#tidy())
  #writer: BucketWriter | undefined
  #makingWriter: Promise<BucketWriter> | undefined
  #ownFiles = 0
  #damages = 0
  #tidied = 0
  #isClosed = false
  /** Why the last heartbeat failed. */
  #trouble: Error | undefined

  constructor(options: BucketSpoolOptions, volume: BucketVolume, writer: BucketWriter) {
    const { cachePath, reserveBytes, quotaBytes, recentBytes = 0, clock = systemClock } = options
    this.volume = volume
    this.keyring = options.keyring ?? new Keyring([])
    this.#options = options
    this.#atRest = atRestOf(options)
    this.#clock = clock
    this.#writer = writer
    const limits = { reserveBytes, ...(quotaBytes !== undefined && { quotaBytes }) }
    this.#space = new FreeSpace(cachePath, limits, clock, {
      usedBytes: () => volume.usedBytes(),
      freshMs: quotaFreshMs,
    })
    const log = {
      store: volume.store,
      cache: volume.cache,
      writer: () => this.#currentWriter(),
      onDeclaredDead: (dead: BucketWriter) => dead.end(),
    }
    this.#messages = new MessageObjects(log)
    this.#outcomes = new OutcomeObjects(log, options.outcomeLogs)
    this.#reader = volume.reader({ keyring: this.keyring })
    this.#recent = recentBytes > 0 ? new RecentMessages(recentBytes) : undefined
    this.#outcomeIndex = new OutcomeIndex({
      place: new BucketVolume(volume.store, volume.cache, clock),
      limit: options.outcomeLimit ?? 2_000_000,
      keyring: this.keyring,
      onDamage: (damage) => {
        this.#damages += 1
        options.onDamage?.(damage)
      },
    })
    this.#heartbeat = setInterval(() => {
      this.#beating.start()
      this.#tidying.start()
    }, options.heartbeatMs ?? heartbeatMs)
    this.#heartbeat.unref()
  }

  get damageCount(): number {
    return this.#damages
  }

  receive(): IncomingContent {
    if (this.#isClosed) throw new Error('the spool is closed')
    return new Incoming({
      log: this.#messages,
      space: this.#space,
      streamThresholdBytes: this.#options.streamThresholdBytes ?? 256 * 1024,
      ...(this.#atRest !== undefined && { atRest: this.#atRest }),
      openContent: async () => new BucketContent(await this.#nextPlace(), this.#atRest),
      openDraft: async () => new BucketDraft(await this.#nextPlace()),
      onStored: (message, locator, pieces) => this.#recent?.put(message, locator, pieces),
    })
  }

  async store(message: StoredMessage, content: Buffer): Promise<Locator> {
    return storeIn(this.receive(), message, content)
  }

  async read(locator: Locator): Promise<SpooledMessage> {
    return this.#recent?.get(locator) ?? this.#reader.read(locator)
  }

  async settle(outcomes: readonly OutcomeRecord[]): Promise<void> {
    if (this.#isClosed) throw new Error('the spool is closed')
    if (outcomes.length === 0) return
    const record = encodeOutcomes(outcomes)
    const key = this.#atRest?.key
    await this.#outcomes.append(key === undefined ? record : encryptOutcomes(key, record))
  }

  outcomesOf(ids: readonly MessageId[]): Promise<ReadonlyMap<MessageId, readonly OutcomeRecord[]>> {
    return this.#outcomeIndex.outcomesOf(ids)
  }

  /** The last heartbeat was a write. */
  async check(): Promise<void> {
    if (this.#trouble !== undefined) throw this.#trouble
  }

  freeBytes(): Promise<number> {
    return this.#space.freeBytes()
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    clearInterval(this.#heartbeat)
    await this.#messages.close()
    await this.#outcomes.close()
    await Promise.all([this.#beating.done, this.#tidying.done])
    this.#reader.close()
    this.#recent?.clear()
    await this.#outcomeIndex.close()
    await this.#makingWriter?.catch(() => undefined)
    await this.#writer?.close().catch(() => undefined)
    await this.volume.close()
    this.volume.store.close()
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
    const now = this.#clock.now()
    this.#reader.closeIdle()
    await this.#outcomes.rotate(now, this.#options.logAgeMs ?? 600_000)
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
