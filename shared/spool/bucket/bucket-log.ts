import { declaredDead } from '../append-log.ts'
import type { AppendableRecord, Position, RecordLog } from '../append-log.ts'
import { encodeHead, frameBytes, sealHead, segmentSeed } from '../frame.ts'
import { segmentPath } from '../segment-name.ts'
import type { BucketWriter } from './bucket-writer.ts'
import { keyOf, partKey } from './keys.ts'
import type { ObjectStore, PutResult } from './object-store.ts'
import type { ReadCache } from './read-cache.ts'

const groupBytes = 8 * 1024 * 1024
const groupRecords = 2_000

export interface BucketLogOptions {
  readonly store: ObjectStore
  readonly cache: ReadCache
  /** The writer to write as now; a new one after the last was declared dead. */
  writer(): Promise<BucketWriter>
  /** Nothing more is acknowledged for this one. */
  onDeclaredDead(writer: BucketWriter): void
}

interface Waiting {
  readonly record: AppendableRecord
  readonly head: Buffer
  readonly bytes: number
  resolve(position: Position): void
  reject(error: unknown): void
}

/**
 * Records that wait at one moment share one object. While `atOnce` of them are being put, the next ones gather.
 */
abstract class GroupLog implements RecordLog {
  readonly options: BucketLogOptions
  readonly #atOnce: number
  readonly #puts = new Set<Promise<void>>()
  #waiting: Waiting[] = []
  #isGathering = false
  #isClosed = false

  constructor(options: BucketLogOptions, atOnce: number) {
    this.options = options
    this.#atOnce = atOnce
  }

  /** Resolves when the store has it. @throws SpoolFullError */
  append(record: AppendableRecord): Promise<Position> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) throw new Error('the spool is closed')
      const head = encodeHead(record.head)
      this.#waiting.push({ record, head, bytes: frameBytes(record.head), resolve, reject })
      this.#gather()
    })
  }

  /** Takes no more, and waits for what is under way. */
  async close(): Promise<void> {
    this.#isClosed = true
    while (this.#waiting.length > 0 || this.#puts.size > 0) {
      await Promise.all(this.#puts)
      await turn()
    }
  }

  /** Puts a group as this writer; rejects when the store does not have it for sure. */
  protected abstract put(writer: BucketWriter, group: readonly Waiting[]): Promise<Placed>

  /** A first record waits for the others that arrive in the same turn of the event loop. */
  #gather(): void {
    if (this.#isGathering || this.#puts.size >= this.#atOnce || this.#waiting.length === 0) return
    this.#isGathering = true
    void turn().then(() => {
      this.#isGathering = false
      if (this.#puts.size >= this.#atOnce || this.#waiting.length === 0) return
      const put = this.#commit(this.#takeGroup()).finally(() => {
        this.#puts.delete(put)
        this.#gather()
      })
      this.#puts.add(put)
      this.#gather()
    })
  }

  #takeGroup(): readonly Waiting[] {
    let bytes = 0
    let count = 0
    for (const { bytes: own } of this.#waiting) {
      if (count > 0 && (bytes + own > groupBytes || count === groupRecords)) break
      bytes += own
      count += 1
    }
    return this.#waiting.splice(0, count)
  }

  /** Never rejects: each record is answered. */
  async #commit(group: readonly Waiting[]): Promise<void> {
    try {
      const writer = await this.options.writer()
      const mayStand = group.filter((one) => mayLieWith(writer, one))
      if (mayStand.length === 0) return
      const { file, offsets, at } = await this.put(writer, mayStand)
      if (!writer.isOwnAt(at)) {
        this.options.onDeclaredDead(writer)
        throw declaredDead(writer)
      }
      for (const [index, { resolve }] of mayStand.entries()) resolve({ segment: file, offset: offsets[index] ?? 0 })
    } catch (error) {
      for (const { reject } of group) reject(error)
    }
  }
}

/** Where a group came to lie, and when the store said so. */
interface Placed extends PutResult {
  readonly file: string
  readonly offsets: readonly number[]
}

/** Message records: each group is a segment of its own. Two are put at once: a record waits for one answer of the store, seldom for two. */
export class MessageObjects extends GroupLog {
  #sequence = 0

  constructor(options: BucketLogOptions) {
    super(options, 2)
  }

  /** A number is never used again: what failed may be stored later all the same. */
  protected async put(writer: BucketWriter, group: readonly Waiting[]): Promise<Placed> {
    const { store, cache } = this.options
    this.#sequence += 1
    const file = segmentPath(writer.name, this.#sequence, 'msg')
    const { octets, offsets } = encodeGroup(group, file, 0)
    const keeping = cache.keep(file, [octets])
    try {
      const { at } = await store.put(keyOf(file), octets)
      return { file, offsets, at }
    } catch (error) {
      // Not deleted: should it be there all the same, others may have seen it and be at work on it.
      void keeping.then(() => cache.remove(file))
      throw error
    } finally {
      await keeping
    }
  }
}

export interface OutcomeObjectsLimits {
  /** A log of so many parts is made one object. */
  readonly parts: number
  readonly bytes: number
  /** A listing under way when a log became whole may show neither it nor parts that are deleted too early. */
  readonly partsStayMs: number
}

/** Longer than a listing takes. */
export const partsStayMs = 60_000

/**
 * Outcomes: groups are parts of a log, put one after the other, so that nothing was acknowledged behind a gap. A log that is long enough
 * is put again as one object and its parts are deleted: who follows the logs lists hundreds of objects, not hundreds of thousands.
 */
export class OutcomeObjects extends GroupLog {
  readonly #limits: OutcomeObjectsLimits
  #sequence = 0
  #log: GrowingLog | undefined
  #joining: Promise<void> = Promise.resolve()
  #left: readonly LeftParts[] = []

  constructor(options: BucketLogOptions, limits: OutcomeObjectsLimits = usualLimits) {
    super(options, 1)
    this.#limits = limits
  }

  /** Makes a log of this age one object, so that it can be cleaned up, and deletes parts nobody reads any more. */
  rotate(nowAt: number, ageMs: number): Promise<void> {
    const log = this.#log
    if (log !== undefined && nowAt - log.openedAt >= ageMs) this.#finish(log)
    this.#joining = this.#joining.then(() => this.#removeParts(nowAt))
    return this.#joining
  }

  override async close(): Promise<void> {
    await super.close()
    if (this.#log !== undefined) this.#finish(this.#log)
    await this.#joining
  }

  protected async put(writer: BucketWriter, group: readonly Waiting[]): Promise<Placed> {
    const log = this.#logOf(writer)
    const { octets, offsets } = encodeGroup(group, log.file, log.bytes)
    try {
      const { at } = await this.options.store.put(partKey(log.file, log.bytes), octets)
      log.offsets.push(log.bytes)
      log.pieces.push(octets)
      log.bytes += octets.length
      if (log.offsets.length >= this.#limits.parts || log.bytes >= this.#limits.bytes) this.#finish(log)
      return { file: log.file, offsets, at }
    } catch (error) {
      // It may be stored later all the same: nothing else may have its name.
      this.#log = undefined
      throw error
    }
  }

  #logOf(writer: BucketWriter): GrowingLog {
    if (this.#log?.writer === writer) return this.#log
    this.#sequence += 1
    const file = segmentPath(writer.name, this.#sequence, 'out')
    this.#log = { writer, file, openedAt: Date.now(), bytes: 0, offsets: [], pieces: [] }
    return this.#log
  }

  #finish(log: GrowingLog): void {
    this.#log = undefined
    this.#joining = this.#joining.then(() => this.#join(log))
  }

  /** Never rejects: a log may stay in parts. */
  async #join({ writer, file, offsets, pieces }: GrowingLog): Promise<void> {
    if (writer.isOver || offsets.length === 0) return
    const { store, cache } = this.options
    const parts = offsets.map((offset) => partKey(file, offset))
    try {
      await store.put(keyOf(file), Buffer.concat(pieces))
      await cache.keep(file, pieces)
    } catch {
      // The parts are as good.
      return
    }
    this.#left = [...this.#left, { keys: parts, at: Date.now() }]
    await this.#removeParts(Date.now())
  }

  /** Never rejects: cleaning finds what is left. */
  async #removeParts(nowAt: number): Promise<void> {
    const isOld = ({ at }: LeftParts): boolean => Math.abs(nowAt - at) >= this.#limits.partsStayMs
    const keys = this.#left.filter(isOld).flatMap((left) => left.keys)
    this.#left = this.#left.filter((left) => !isOld(left))
    if (keys.length > 0) await this.options.store.remove(keys).catch(() => undefined)
  }
}

/** Of a log that is whole. */
interface LeftParts {
  readonly keys: readonly string[]
  readonly at: number
}

const usualLimits: OutcomeObjectsLimits = { parts: 256, bytes: 4 * 1024 * 1024, partsStayMs }

interface GrowingLog {
  readonly writer: BucketWriter
  readonly file: string
  readonly openedAt: number
  bytes: number
  readonly offsets: number[]
  readonly pieces: Buffer[]
}

/** The records one behind the other as they lie in `file` from `start` on. */
export function encodeGroup(
  group: readonly { readonly record: AppendableRecord; readonly head: Buffer; readonly bytes: number }[],
  file: string,
  start: number,
): { readonly octets: Buffer; readonly offsets: readonly number[] } {
  const seed = segmentSeed(file)
  const buffers: Buffer[] = []
  const offsets: number[] = []
  let offset = start
  for (const [index, { head, record, bytes }] of group.entries()) {
    const wrapped = record.wrapAt?.(head, { segment: file, offset })
    sealHead(head, seed, index === 0)
    buffers.push(head, ...(wrapped ?? [record.meta, ...record.content]))
    offsets.push(offset)
    offset += bytes
  }
  return { octets: Buffer.concat(buffers), offsets }
}

/** False, and answered, for a record whose content lies with a writer that was declared dead. */
function mayLieWith(writer: BucketWriter, { record, reject }: Waiting): boolean {
  if (record.writer === undefined || record.writer === writer) return true
  reject(declaredDead(record.writer))
  return false
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}
