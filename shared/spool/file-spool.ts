import { constants } from 'node:fs'
import { access, mkdir } from 'node:fs/promises'

import { systemClock } from '../clock.ts'
import type { Clock } from '../clock.ts'
import type { MessageId } from '../mail/message-id.ts'
import { AppendLog } from './append-log.ts'
import { DraftFile } from './draft-file.ts'
import { FreeSpace } from './free-space.ts'
import { Incoming } from './incoming.ts'
import { Keyring } from './keyring.ts'
import { LargeFile } from './large-file.ts'
import { heartbeatMs } from './liveness.ts'
import { encodeOutcomes } from './outcome-record.ts'
import { FolderVolume } from './folder-volume.ts'
import { requireKeys } from './known-keys.ts'
import { OutcomeIndex } from './outcome-index.ts'
import { RecentMessages } from './recent-messages.ts'
import { RecordReader } from './record-reader.ts'
import { atRestOf, encryptOutcomes } from './record-wrap.ts'
import type { AtRest } from './record-wrap.ts'
import type { Damage } from './scan.ts'
import { storeIn } from './spool.ts'
import type { IncomingContent, Locator, OutcomeRecord, SpooledMessage, StoredMessage } from './spool.ts'
import type { OpenedSpool, SpoolVolume } from './volume.ts'
import { WriterFolder } from './writer-folder.ts'

export interface SpoolOptions {
  /** The spool folder; made when it is missing. */
  readonly path: string
  /** What the names of this process's folders begin with, e.g. `inbound`. */
  readonly writer: string
  /** Octets of the disk that new mail must leave free; outcomes may use them. */
  readonly reserveBytes: number
  /** Octets that the files of the spool may have together before new mail is refused; outcomes may go beyond. */
  readonly quotaBytes?: number
  /** Content beyond this size goes into a file of its own while it comes in. */
  readonly streamThresholdBytes?: number
  readonly segmentBytes?: number
  /** A segment with records is closed at this age, so that it can be cleaned up. */
  readonly segmentAgeMs?: number
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

/**
 * Opens the spool for reading and writing. Rejects when its folder cannot be written.
 * @throws SpoolKeyError when records in it need a key that is not known
 */
export async function openSpool(options: SpoolOptions): Promise<FileSpool> {
  const { path, writer, keyring = new Keyring([]), encryption = false, clock = systemClock } = options
  await mkdir(path, { recursive: true, mode: 0o750 })
  const volume = new FolderVolume(path)
  await requireKeys(volume, keyring, clock)
  if (encryption && keyring.first !== undefined) await volume.keys.add(keyring.first.id)
  return new FileSpool(options, await WriterFolder.create(path, writer, clock))
}

/** The spool in a folder of the file system: segments of one writer each, read by all. */
export class FileSpool implements OpenedSpool {
  readonly path: string
  readonly volume: SpoolVolume
  readonly keyring: Keyring
  readonly #options: SpoolOptions
  readonly #atRest: AtRest | undefined
  readonly #clock: Clock
  readonly #space: FreeSpace
  readonly #messages: AppendLog
  readonly #outcomes: AppendLog
  readonly #reader: RecordReader
  readonly #recent: RecentMessages | undefined
  readonly #outcomeIndex: OutcomeIndex
  readonly #heartbeat: NodeJS.Timeout
  #folder: WriterFolder | undefined
  #makingFolder: Promise<WriterFolder> | undefined
  /** Contents and drafts that have files of their own. */
  #ownFiles = 0
  #damages = 0
  #isClosed = false

  constructor(options: SpoolOptions, folder: WriterFolder) {
    const { path, reserveBytes, quotaBytes, segmentBytes = 64 * 1024 * 1024, clock = systemClock } = options
    this.path = path
    this.volume = new FolderVolume(path)
    this.keyring = options.keyring ?? new Keyring([])
    this.#options = options
    this.#atRest = atRestOf(options)
    this.#clock = clock
    this.#folder = folder
    this.#space = new FreeSpace(path, { reserveBytes, ...(quotaBytes !== undefined && { quotaBytes }) }, clock)
    const log = {
      clock,
      folder: () => this.#writerFolder(),
      onDeclaredDead: (dead: WriterFolder) => {
        if (this.#folder === dead) this.#folder = undefined
      },
    }
    this.#messages = new AppendLog({ ...log, extension: 'msg', segmentBytes })
    this.#outcomes = new AppendLog({
      ...log,
      extension: 'out',
      segmentBytes: Math.min(segmentBytes, outcomeSegmentBytes),
    })
    this.#reader = new RecordReader(path, { keyring: this.keyring })
    const { recentBytes = 0 } = options
    this.#recent = recentBytes > 0 ? new RecentMessages(recentBytes) : undefined
    this.#outcomeIndex = new OutcomeIndex({
      place: this.volume,
      limit: options.outcomeLimit ?? 2_000_000,
      keyring: this.keyring,
      onDamage: (damage) => {
        this.#damages += 1
        options.onDamage?.(damage)
      },
    })
    this.#heartbeat = setInterval(() => void this.#beat(), heartbeatMs)
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
      openContent: async () => new LargeFile(await this.#writerFolder(), this.#nextFile(), this.#atRest),
      openDraft: async (beside) => {
        const folder = beside instanceof LargeFile ? beside.writer : await this.#writerFolder()
        return new DraftFile(folder, this.#nextFile())
      },
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

  check(): Promise<void> {
    return access(this.path, constants.W_OK | constants.X_OK)
  }

  freeBytes(): Promise<number> {
    return this.#space.freeBytes()
  }

  /** Waits for what is being written. Content still on its way in is lost with its session. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    clearInterval(this.#heartbeat)
    await this.#messages.close()
    await this.#outcomes.close()
    this.#reader.close()
    this.#recent?.clear()
    await this.#makingFolder?.catch(() => undefined)
    await this.#folder?.close()
  }

  #nextFile(): number {
    this.#ownFiles += 1
    return this.#ownFiles
  }

  /** The folder to write to: a new one after another process declared the last one dead. */
  async #writerFolder(): Promise<WriterFolder> {
    if (this.#folder !== undefined) return this.#folder
    this.#makingFolder ??= WriterFolder.create(this.path, this.#options.writer, this.#clock).finally(() => {
      this.#makingFolder = undefined
    })
    this.#folder = await this.#makingFolder
    return this.#folder
  }

  /** Never rejects: a heartbeat that fails is noticed by others, or by the next write. */
  async #beat(): Promise<void> {
    this.#reader.closeIdle()
    const ageMs = this.#options.segmentAgeMs ?? 600_000
    await this.#folder?.beat().catch(() => undefined)
    await this.#messages.rotate(this.#clock.now(), ageMs).catch(() => undefined)
    await this.#outcomes.rotate(this.#clock.now(), ageMs).catch(() => undefined)
  }
}

const outcomeSegmentBytes = 16 * 1024 * 1024
