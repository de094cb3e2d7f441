import { systemClock } from '../clock.ts'
import type { Clock } from '../clock.ts'
import type { MessageId } from '../mail/message-id.ts'
import { fileSize } from './file-io.ts'
import { volumeAt } from './folder-volume.ts'
import type { SpoolPlace } from './folder-volume.ts'
import { MessageTable } from './message-table.ts'
import type { LiveRecord, SpoolCounts } from './message-table.ts'
import { decodeKeys } from './outcome-record.ts'
import { scanSegment } from './scan.ts'
import type { Damage, ScannedFrame } from './scan.ts'
import { parseSegmentPath, relocatedRecord, segmentPath } from './segment-name.ts'
import { SegmentState } from './segment-state.ts'
import { segmentsOf } from './spool-files.ts'
import type { OutcomeLogFile, SpoolListing } from './spool-files.ts'
import type { LiveMessage } from './spool.ts'
import type { SpoolVolume } from './volume.ts'

export interface LiveIndexOptions {
  readonly clock?: Clock
  /** How long a settled message stays known after its record was deleted, so that a copy written late is none. */
  readonly rememberMs?: number
  onDamage?(damage: Damage): void
}

/**
 * Every message that is not settled, from the logs alone. Each `refresh` reads what was written since the last: afterwards
 * the index knows everything that was on disk when it was called.
 */
export class LiveIndex {
  readonly volume: SpoolVolume
  readonly #options: LiveIndexOptions
  readonly #clock: Clock
  readonly #table = new MessageTable()
  readonly #segments = new Map<string, SegmentState>()
  readonly #outcomeLogs = new Map<string, OutcomeLogState>()
  /** Files of moved records, with the segment they came from. */
  readonly #relocated = new Map<string, SegmentState>()
  #hasLooked = false
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined
  /** Contents with a file of their own, as their records name them. */
  #contents: ReadonlySet<string> = new Set()
  #damages = 0

  /** Reads the whole spool. Records in the middle are checked when they are read, not here. */
  static async open(place: SpoolPlace, options: LiveIndexOptions = {}): Promise<LiveIndex> {
    const index = new LiveIndex(volumeAt(place), options)
    await index.refresh()
    return index
  }

  private constructor(volume: SpoolVolume, options: LiveIndexOptions) {
    this.volume = volume
    this.#options = options
    this.#clock = options.clock ?? systemClock
  }

  /** Live messages. */
  get size(): number {
    return this.#table.live
  }

  /** Damages seen since `open`. */
  get damageCount(): number {
    return this.#damages
  }

  entries(): Iterable<LiveMessage> {
    return this.#table.liveMessages()
  }

  /** Those an operator decided about. */
  decided(): Iterable<LiveMessage> {
    return this.#table.decidedMessages()
  }

  get(id: MessageId): LiveMessage | undefined {
    return this.#table.get(id)
  }

  /** The files of a live message were there at the last look: its record, and its content when that is a file of its own. */
  isOnDisk(id: MessageId): boolean {
    const place = this.#table.place(id)
    if (place === undefined) return false
    const { segment, offset, largeFile } = place
    if (segment.isDeleted && !this.isRelocated(segment.path, offset)) return false
    const writer = parseSegmentPath(segment.path)?.writer ?? ''
    return largeFile === 0 || this.#contents.has(segmentPath(writer, largeFile, 'big'))
  }

  /** For the ledger: everything accepted is pending or has its final outcome. */
  counts(): SpoolCounts {
    return this.#table.counts()
  }

  /** True while a record of the message, live or settled, is on disk: without its outcomes it would come back to life. */
  hasRecord(id: MessageId): boolean {
    return this.#table.hasRecord(id)
  }

  /** Why this outcome log was kept when it was last gone through, and when that was. */
  keptLog(outcomeLog: string): KeptLog | undefined {
    return this.#outcomeLogs.get(outcomeLog)?.kept
  }

  keepLog(outcomeLog: string, kept: KeptLog): void {
    const log = this.#outcomeLogs.get(outcomeLog)
    if (log !== undefined) log.kept = kept
  }

  /** What is known of the segments with message records that are on disk. */
  segments(): Iterable<SegmentState> {
    return this.#segments.values()
  }

  segment(path: string): SegmentState | undefined {
    return this.#segments.get(path)
  }

  /** Is a copy of this record in the folder of moved records? */
  isRelocated(segment: string, offset: number): boolean {
    return this.#relocated.has(relocatedRecord(segment, offset))
  }

  liveRecords(segments: ReadonlySet<SegmentState>): ReadonlyMap<SegmentState, readonly LiveRecord[]> {
    return this.#table.liveRecords(segments)
  }

  /** Resolves after a look that began after this call; those who wait together share it. */
  refresh(): Promise<void> {
    if (this.#running === undefined) return this.#start()
    this.#next ??= this.#running.then(
      () => this.#start(),
      () => this.#start(),
    )
    return this.#next
  }

  /** Waits for a look that is under way. */
  async close(): Promise<void> {
    await this.#next?.catch(() => undefined)
    await this.#running?.catch(() => undefined)
  }

  #start(): Promise<void> {
    this.#next = undefined
    const running = this.#look().finally(() => {
      if (this.#running === running) this.#running = undefined
    })
    this.#running = running
    return running
  }

  /**
   * Messages first, then outcomes. Outcomes of messages that were recorded in between wait in the table for the next look.
   * One listing serves both: what it lacks was not there when `refresh` was called.
   */
  async #look(): Promise<void> {
    // What comes later was written later, whatever the clocks of other hosts say: its record may not have been listed yet.
    const recordsReadAt = this.#hasLooked ? Number.NEGATIVE_INFINITY : this.#clock.now() - clockSkewMs
    const listing = await this.volume.list()
    await this.#readSegments([...segmentsOf(listing.writers, 'msg')])
    await this.#readRelocated(listing)
    const logs = listing.outcomeLogs.filter(({ path }) => this.#outcomeLogs.get(path)?.isComplete !== true)
    await this.volume.prepare(logs.map(({ path }) => path))
    for (const log of logs) await this.#readOutcomes(log, recordsReadAt)
    this.#forgetDeleted(listing)
    this.#contents = contentsIn(listing)
    this.#table.forgetBefore(this.#clock.now() - (this.#options.rememberMs ?? 3_600_000))
    this.#hasLooked = true
  }

  async #readSegments(listed: readonly { readonly path: string; readonly isClosed: boolean }[]): Promise<void> {
    const unread = listed.filter(({ path }) => this.#segments.get(path)?.isComplete !== true)
    for (let start = 0; start < unread.length; start += preparedAtOnce) {
      const some = unread.slice(start, start + preparedAtOnce)
      await this.volume.prepare(some.map(({ path }) => path))
      for (const { path, isClosed } of some) await this.#readMessages(path, isClosed)
    }
  }

  async #readMessages(path: string, isClosed: boolean): Promise<void> {
    const segment = this.#segments.get(path) ?? new SegmentState(path)
    this.#segments.set(path, segment)
    if (segment.isComplete) return
    if ((await this.volume.sizeOf(path)) === segment.sizeBytes) {
      segment.isComplete = isClosed
      return
    }
    await this.volume.withFile(path, async (fd) => {
      const size = await fileSize(fd)
      if (size < segment.end) {
        this.#table.dropFrom(segment, size)
        segment.end = size
      }
      const scanned = await scanSegment({
        fd,
        segment: path,
        from: segment.end,
        visit: ({ head, offset }) => this.#table.addRecord(segment, offset, head),
        onDamage: (damage) => {
          segment.damages += 1
          this.#damaged(damage)
        },
      })
      segment.end = scanned.end
      segment.sizeBytes = scanned.size
      segment.isComplete = isClosed
    })
  }

  /** A moved record counts for the segment it came from: its locator stays what it was. */
  async #readRelocated({ relocated }: SpoolListing): Promise<void> {
    for (const { path, origin } of relocated) {
      if (origin.kind !== 'record' || this.#relocated.has(path)) continue
      const segment = this.#segments.get(origin.segment) ?? new SegmentState(origin.segment)
      this.#segments.set(origin.segment, segment)
      this.#relocated.set(path, segment)
      const visit = ({ head }: ScannedFrame): void => this.#table.addRecord(segment, origin.offset, head)
      const onDamage = (damage: Damage): void => this.#damaged(damage)
      await this.volume.withFile(path, async (fd) => {
        const { end } = await scanSegment({ fd, segment: origin.segment, from: 0, visit, onDamage })
        if (end > 0) return
        segment.damages += 1
        onDamage({ segment: path, offset: 0, bytes: 0, reason: 'the moved record is damaged' })
      })
    }
  }

  async #readOutcomes({ path, origin, isClosed }: OutcomeLogFile, recordsReadAt: number): Promise<void> {
    const log: OutcomeLogState = this.#outcomeLogs.get(path) ?? { end: 0, sizeBytes: 0 }
    this.#outcomeLogs.set(path, log)
    if (log.isComplete === true || (await this.volume.sizeOf(path)) === log.sizeBytes) return
    await this.volume.withFile(path, async (fd) => {
      const scanned = await scanSegment({
        fd,
        segment: origin,
        from: log.end,
        withContent: true,
        visit: ({ content }) => {
          for (const outcome of decodeKeys(content)) this.#table.addOutcome(outcome, recordsReadAt)
        },
        onDamage: (damage) => this.#damaged(damage),
      })
      log.end = scanned.end
      log.sizeBytes = scanned.size
      log.isComplete = isClosed
    })
  }

  /** Forgets files that are gone. A segment stays known while a record that was moved out of it is on disk. */
  #forgetDeleted({ writers, relocated, outcomeLogs }: SpoolListing): void {
    const present = new Set([...segmentsOf(writers, 'msg')].map(({ path }) => path))
    const moved = new Set(relocated.map(({ path }) => path))
    const origins = new Set(relocated.map(({ origin }) => origin.segment))
    const changed = new Set<SegmentState>()
    for (const segment of this.#segments.values()) {
      if (segment.isDeleted || present.has(segment.path)) continue
      segment.isDeleted = true
      changed.add(segment)
    }
    for (const [file, segment] of this.#relocated) {
      if (moved.has(file)) continue
      this.#relocated.delete(file)
      if (segment.isDeleted) changed.add(segment)
    }
    if (changed.size > 0) {
      this.#table.forgetRecords(
        changed,
        ({ path, isDeleted }, offset) => isDeleted && !moved.has(relocatedRecord(path, offset)),
      )
    }
    for (const segment of changed) {
      if (segment.live > 0 || origins.has(segment.path)) continue
      this.#segments.delete(segment.path)
      this.#table.removeSegment(segment)
    }
    const logs = new Set(outcomeLogs.map(({ path }) => path))
    for (const path of this.#outcomeLogs.keys()) if (!logs.has(path)) this.#outcomeLogs.delete(path)
  }

  #damaged(damage: Damage): void {
    this.#damages += 1
    this.#options.onDamage?.(damage)
  }
}

function contentsIn({ writers, relocated }: SpoolListing): ReadonlySet<string> {
  const own = writers.flatMap(({ name, files }) =>
    files.filter(({ extension }) => extension === 'big').map(({ sequence }) => segmentPath(name, sequence, 'big')),
  )
  const moved = relocated.filter(({ origin }) => origin.kind !== 'record').map(({ origin }) => origin.segment)
  return new Set([...own, ...moved])
}

/** An outcome log stays for the sake of a message that has a record. */
export interface KeptLog {
  readonly id: MessageId
  readonly lookedAt: number
}

const preparedAtOnce = 256

/** Clocks of the hosts that share a spool may differ by this much. */
const clockSkewMs = 600_000

interface OutcomeLogState {
  end: number
  sizeBytes: number
  isComplete?: boolean
  kept?: KeptLog
}
