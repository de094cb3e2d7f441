import { systemClock } from '../clock.ts'
import type { Clock } from '../clock.ts'
import type { MessageId } from '../mail/message-id.ts'
import type { RecordLog } from './append-log.ts'
import { FreeSpace } from './free-space.ts'
import type { SpaceMeasure } from './free-space.ts'
import { Incoming } from './incoming.ts'
import type { Draft, OwnContent } from './incoming.ts'
import { Keyring } from './keyring.ts'
import { requireKeys } from './known-keys.ts'
import { OutcomeIndex } from './outcome-index.ts'
import { encodeOutcomes } from './outcome-record.ts'
import { RecentMessages } from './recent-messages.ts'
import type { RecordReader } from './record-reader.ts'
import { atRestOf, encryptOutcomes } from './record-wrap.ts'
import type { AtRest } from './record-wrap.ts'
import type { Damage } from './scan.ts'
import { storeIn } from './spool.ts'
import type { IncomingContent, Locator, OutcomeRecord, SpooledMessage, StoredMessage } from './spool.ts'
import type { OpenedSpool, SpoolVolume } from './volume.ts'

/** What a spool is told, wherever its records lie. */
export interface RecordSpoolOptions {
  /** What the names of this process's writers begin with, e.g. `inbound`. */
  readonly writer: string
  /** Octets of the disk that new mail must leave free; outcomes may use them. */
  readonly reserveBytes: number
  /** Octets that all of the spool may have before new mail is refused; outcomes may go beyond. */
  readonly quotaBytes?: number
  /** Content beyond this size goes into a file of its own while it comes in. */
  readonly streamThresholdBytes?: number
  /** Outcomes whose place is kept in memory, about 40 octets each. */
  readonly outcomeLimit?: number
  /** Octets of content kept in memory after storing, for readers in this process; none when left out. */
  readonly recentBytes?: number
  /** New message records are compressed. */
  readonly compression?: boolean
  /** Message records and outcomes are encrypted with the first key. Needs one. */
  readonly encryption?: boolean
  /** The keys of records that are encrypted, also of those from before. */
  readonly keyring?: Keyring
  readonly clock?: Clock
  /** Somebody or something changed what was written. To be logged loudly; also counted in `damageCount`. */
  onDamage?(damage: Damage): void
}

/** Where the records lie. */
export interface RecordPlace<Volume extends SpoolVolume> {
  readonly volume: Volume
  /** The same for the index of outcomes, which closes it. */
  readonly outcomes: SpoolVolume
  /** Folder on the disk whose free space counts. */
  readonly disk: string
  /** How much the spool has; absent: the files below `disk` are added up. */
  readonly used?: SpaceMeasure
}

/** A log of this process. */
export type OwnLog = RecordLog & { close(): Promise<void> }

/** @throws SpoolKeyError when records in it need a key that is not known */
export async function prepareKeys(
  volume: SpoolVolume,
  { keyring = new Keyring([]), encryption = false, clock = systemClock }: RecordSpoolOptions,
): Promise<void> {
  await requireKeys(volume, keyring, clock)
  if (encryption && keyring.first !== undefined) await volume.keys.add(keyring.first.id)
}

/** Records of messages and outcomes in two logs of this process, read by all: what is the same for a folder and a bucket. */
export abstract class RecordSpool<Volume extends SpoolVolume> implements OpenedSpool {
  readonly volume: Volume
  readonly keyring: Keyring
  protected readonly clock: Clock
  protected readonly atRest: AtRest | undefined
  protected readonly reader: RecordReader
  protected abstract readonly messages: OwnLog
  protected abstract readonly outcomes: OwnLog
  readonly #streamThresholdBytes: number
  readonly #space: FreeSpace
  readonly #recent: RecentMessages | undefined
  readonly #outcomeIndex: OutcomeIndex
  #damages = 0
  #isClosed = false

  constructor(options: RecordSpoolOptions, { volume, outcomes, disk, used }: RecordPlace<Volume>) {
    const { reserveBytes, quotaBytes, recentBytes = 0, clock = systemClock } = options
    this.volume = volume
    this.keyring = options.keyring ?? new Keyring([])
    this.clock = clock
    this.atRest = atRestOf(options)
    this.reader = volume.reader({ keyring: this.keyring })
    this.#streamThresholdBytes = options.streamThresholdBytes ?? 256 * 1024
    const limits = { reserveBytes, ...(quotaBytes !== undefined && { quotaBytes }) }
    this.#space = new FreeSpace(disk, limits, clock, used)
    this.#recent = recentBytes > 0 ? new RecentMessages(recentBytes) : undefined
    this.#outcomeIndex = new OutcomeIndex({
      place: outcomes,
      limit: options.outcomeLimit ?? 2_000_000,
      keyring: this.keyring,
      onDamage: (damage) => {
        this.#damages += 1
        options.onDamage?.(damage)
      },
    })
  }

  get damageCount(): number {
    return this.#damages
  }

  receive(): IncomingContent {
    if (this.#isClosed) throw new Error('the spool is closed')
    return new Incoming({
      log: this.messages,
      space: this.#space,
      streamThresholdBytes: this.#streamThresholdBytes,
      ...(this.atRest !== undefined && { atRest: this.atRest }),
      openContent: () => this.openContent(),
      openDraft: (beside) => this.openDraft(beside),
      onStored: (message, locator, pieces) => this.#recent?.put(message, locator, pieces),
    })
  }

  async store(message: StoredMessage, content: Buffer): Promise<Locator> {
    return storeIn(this.receive(), message, content)
  }

  async read(locator: Locator): Promise<SpooledMessage> {
    return this.#recent?.get(locator) ?? this.reader.read(locator)
  }

  async settle(outcomes: readonly OutcomeRecord[]): Promise<void> {
    if (this.#isClosed) throw new Error('the spool is closed')
    if (outcomes.length === 0) return
    const record = encodeOutcomes(outcomes)
    const key = this.atRest?.key
    await this.outcomes.append(key === undefined ? record : encryptOutcomes(key, record))
  }

  outcomesOf(ids: readonly MessageId[]): Promise<ReadonlyMap<MessageId, readonly OutcomeRecord[]>> {
    return this.#outcomeIndex.outcomesOf(ids)
  }

  freeBytes(): Promise<number> {
    return this.#space.freeBytes()
  }

  abstract check(): Promise<void>

  /** Waits for what is being written. Content still on its way in is lost with its session. */
  abstract close(): Promise<void>

  protected abstract openContent(): Promise<OwnContent>
  protected abstract openDraft(beside: OwnContent | undefined): Promise<Draft>

  /** False: it was closed before. */
  protected takeNoMore(): boolean {
    const wasOpen = !this.#isClosed
    this.#isClosed = true
    return wasOpen
  }

  /** When nothing is written any more. */
  protected async letGo(): Promise<void> {
    this.reader.close()
    this.#recent?.clear()
    await this.#outcomeIndex.close()
  }
}
