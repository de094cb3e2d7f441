import { constants } from 'node:fs'
import { join } from 'node:path'

import type { Clock } from '../clock.ts'
import { closeFile, openFile, syncFile, truncateFile, writeFully } from './file-io.ts'
import { encodeHead, frameBytes, sealHead, segmentSeed } from './frame.ts'
import type { FrameHead } from './frame.ts'
import { isFull } from './free-space.ts'
import { fileName, segmentPath } from './segment-name.ts'
import type { LogExtension } from './segment-name.ts'
import { SpoolFullError } from './spool.ts'
import type { WriterFolder } from './writer-folder.ts'

export interface AppendLogOptions {
  readonly extension: LogExtension
  /** A segment that has reached this size is closed and the next one begun. */
  readonly segmentBytes: number
  readonly clock: Clock
  /** The folder to write to now; a new one after the last was declared dead. */
  folder(): Promise<WriterFolder>
  /** The folder was declared dead by another process. */
  onDeclaredDead(folder: WriterFolder): void
}

/** Whom a file of the spool belongs to: one life of a writing process. */
export interface SpoolWriter {
  readonly name: string
}

/** Takes records; resolves when the record is stored for good. @throws SpoolFullError */
export interface RecordLog {
  append(record: AppendableRecord): Promise<Position>
}

/** Where a record came to lie. */
export interface Position {
  readonly segment: string
  readonly offset: number
}

/** A record for the log: its head but for the place, metadata, then the content in pieces. */
export interface AppendableRecord {
  readonly head: Omit<FrameHead, 'startsGroup'>
  readonly meta: Buffer
  readonly content: readonly Buffer[]
  /**
   * Completes the head when the place is known, and returns what is written in place of metadata and content: as many octets, in
   * buffers of its own.
   */
  wrapAt?(head: Buffer, place: Position): readonly Buffer[]
  /** Only this writer will do: the content of a large message lies among its files. */
  readonly writer?: SpoolWriter | undefined
}

/**
 * One log of one writer. All records that wait at one moment share one write, which is on disk when it returns; while it
 * is under way the next ones gather. Buffers are written from where they lie.
 */
export class AppendLog implements RecordLog {
  readonly #options: AppendLogOptions
  #waiting: Waiting[] = []
  #segment: Segment | undefined
  #nextSequence = 1
  #running: Promise<void> | undefined
  #isClosed = false

  constructor(options: AppendLogOptions) {
    this.#options = options
  }

  /** Resolves when the record is on disk. @throws SpoolFullError when it did not fit; the log stays usable. */
  append(record: AppendableRecord): Promise<Position> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) throw new Error('the spool is closed')
      const head = encodeHead(record.head)
      const bytes = frameBytes(record.head)
      this.#waiting.push({ record, head, bytes, resolve, reject })
      this.#running ??= this.#run()
    })
  }

  /** Begins a new segment when the current one holds records and is older than `ageMs`, so that it can be cleaned up. */
  async rotate(nowAt: number, ageMs: number): Promise<void> {
    await this.#running
    const segment = this.#segment
    if (this.#running !== undefined || segment === undefined) return
    if (segment.bytes === 0 || nowAt - segment.openedAt < ageMs) return
    this.#running = this.#replace(segment)
      .then(() => undefined)
      .finally(() => this.#ran())
    await this.#running
  }

  /** Takes no more, waits for what is under way and lets go of the segment; removes it when it is empty. */
  async close(): Promise<void> {
    this.#isClosed = true
    while (this.#running !== undefined) await this.#running.catch(() => undefined)
    const segment = this.#segment
    this.#segment = undefined
    if (segment === undefined) return
    await closeFile(segment.fd)
    if (segment.bytes === 0) await segment.folder.removeFile(segment.file)
  }

  async #run(): Promise<void> {
    await turn()
    while (this.#waiting.length > 0) await this.#commit(this.#takeGroup())
    this.#running = undefined
  }

  #ran(): void {
    this.#running = this.#waiting.length > 0 ? this.#run() : undefined
  }

  #takeGroup(): readonly Waiting[] {
    let bytes = 0
    let count = 0
    for (const { bytes: own } of this.#waiting) {
      if (count > 0 && (bytes + own > groupBytes || count === groupRecords)) break
      bytes += own
      count += 1
    }
    return count === this.#waiting.length ? this.#waiting.splice(0) : this.#waiting.splice(0, count)
  }

  async #commit(group: readonly Waiting[]): Promise<void> {
    try {
      const segment = await this.#openSegment(group.reduce((sum, { bytes }) => sum + bytes, 0))
      await this.#write(
        segment,
        group.filter((one) => mayLieIn(segment, one)),
      )
    } catch (error) {
      for (const { reject } of group) reject(asSpoolError(error))
    }
  }

  async #write(segment: Segment, group: readonly Waiting[]): Promise<void> {
    const buffers: Buffer[] = []
    let offset = segment.bytes
    for (const [index, { head, record, bytes }] of group.entries()) {
      const wrapped = record.wrapAt?.(head, { segment: segment.path, offset })
      sealHead(head, segment.seed, index === 0)
      buffers.push(head)
      if (wrapped === undefined) buffers.push(record.meta)
      for (const piece of wrapped ?? record.content) buffers.push(piece)
      offset += bytes
    }
    const written = await writeFully(segment.fd, buffers, segment.bytes)
    if (!writesAreSynchronous) await this.#syncOrRetire(segment)
    if (!segment.folder.isOwn()) {
      await this.#retire(segment)
      this.#options.onDeclaredDead(segment.folder)
      throw declaredDead(segment.folder)
    }
    const cut = this.#acknowledge(segment, group, written.bytes)
    if (written.error === undefined) return
    await this.#cutBack(segment, isFull(written.error))
    for (const { reject } of group.slice(cut)) reject(asSpoolError(written.error))
  }

  /** Answers those whose record is on disk as a whole; returns how many. */
  #acknowledge(segment: Segment, group: readonly Waiting[], writtenBytes: number): number {
    const end = segment.bytes + writtenBytes
    for (const [index, { bytes, resolve }] of group.entries()) {
      if (segment.bytes + bytes > end) return index
      resolve({ segment: segment.path, offset: segment.bytes })
      segment.bytes += bytes
    }
    return group.length
  }

  /** Takes a half-written record off the segment's end. After other trouble than a full disk it is not used again. */
  async #cutBack(segment: Segment, isUsable: boolean): Promise<void> {
    try {
      await truncateFile(segment.fd, segment.bytes)
      await syncFile(segment.fd)
      if (!isUsable) await this.#retire(segment)
    } catch {
      await this.#retire(segment)
    }
  }

  /** After a failed sync nobody knows what is on disk: the group is cut off and the segment never written again. */
  async #syncOrRetire(segment: Segment): Promise<void> {
    try {
      await syncFile(segment.fd)
    } catch (error) {
      await truncateFile(segment.fd, segment.bytes).catch(() => undefined)
      await this.#retire(segment)
      throw error
    }
  }

  async #openSegment(bytes: number): Promise<Segment> {
    const segment = this.#segment
    if (segment === undefined) return this.#begin()
    return segment.bytes > 0 && segment.bytes + bytes > this.#options.segmentBytes ? this.#replace(segment) : segment
  }

  /** The last segment is let go before the next one's name exists: whoever sees that knows that the last is complete. */
  async #replace(last: Segment): Promise<Segment> {
    await this.#retire(last)
    return this.#begin()
  }

  async #begin(): Promise<Segment> {
    const folder = await this.#options.folder()
    const sequence = this.#nextSequence
    this.#nextSequence += 1
    const file = fileName(sequence, this.#options.extension)
    const path = segmentPath(folder.name, sequence, this.#options.extension)
    const flags =
      constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | (writesAreSynchronous ? constants.O_DSYNC : 0)
    const fd = await openFile(join(folder.path, file), flags)
    try {
      await folder.sync()
    } catch (error) {
      await closeFile(fd)
      throw error
    }
    const segment = { folder, file, path, seed: segmentSeed(path), fd, bytes: 0, openedAt: this.#options.clock.now() }
    this.#segment = segment
    return segment
  }

  async #retire(segment: Segment): Promise<void> {
    if (this.#segment === segment) this.#segment = undefined
    await closeFile(segment.fd).catch(() => undefined)
  }
}

interface Waiting {
  readonly record: AppendableRecord
  readonly head: Buffer
  readonly bytes: number
  resolve(position: Position): void
  reject(error: unknown): void
}

interface Segment {
  readonly folder: WriterFolder
  readonly file: string
  readonly path: string
  readonly seed: number
  readonly fd: number
  readonly openedAt: number
  /** Octets on disk; the next record's offset. */
  bytes: number
}

/** A first record waits for the others that arrive in the same turn of the event loop. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}

const groupBytes = 8 * 1024 * 1024
const groupRecords = 2_000

/** Linux syncs within the write: one trip to the thread pool instead of two. Elsewhere fdatasync does more than O_DSYNC. */
const writesAreSynchronous = process.platform === 'linux'

/** False, and answered, for a record whose content lies in the folder of a writer that was declared dead. */
function mayLieIn(segment: Segment, { record, reject }: Waiting): boolean {
  if (record.writer === undefined || record.writer === segment.folder) return true
  reject(declaredDead(record.writer))
  return false
}

export function declaredDead({ name }: SpoolWriter): Error {
  return new Error(`another process declared the writer ${name} dead: nothing was acknowledged`)
}

function asSpoolError(error: unknown): unknown {
  return isFull(error) ? new SpoolFullError('the disk is full', { cause: error }) : error
}
