import { acceptedAtOf } from '../mail/message-id.ts'
import type { MessageId } from '../mail/message-id.ts'
import { readFully } from './file-io.ts'
import { volumeAt } from './folder-volume.ts'
import type { SpoolPlace } from './folder-volume.ts'
import { decodeHead, frameBytes, headBytes, isSound, segmentSeed } from './frame.ts'
import type { FrameHead } from './frame.ts'
import { IdTable } from './id-table.ts'
import { Keyring, SpoolKeyError } from './keyring.ts'
import { decodeKeys, decodeOutcomes } from './outcome-record.ts'
import { unwrapOutcomes } from './record-wrap.ts'
import { scanSegment } from './scan.ts'
import type { Damage } from './scan.ts'
import type { OutcomeLogFile } from './spool-files.ts'
import type { OutcomeRecord } from './spool.ts'
import type { SpoolVolume } from './volume.ts'

export interface OutcomeIndexOptions {
  readonly place: SpoolPlace
  /** Outcomes kept in the index; those of older logs are looked up on disk again when they are asked for. */
  readonly limit: number
  /** The keys of encrypted records; none when absent. */
  readonly keyring?: Keyring
  onDamage(damage: Damage): void
}

/**
 * Follows the outcome logs of all writers: of each log only the octets since the last look are read. In memory are ids and
 * offsets (about 40 octets an outcome); the outcomes themselves are read from disk when somebody asks.
 */
export class OutcomeIndex {
  readonly #options: OutcomeIndexOptions
  readonly #volume: SpoolVolume
  readonly #keyring: Keyring
  readonly #logs = new Map<string, OutcomeLog>()
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined

  constructor(options: OutcomeIndexOptions) {
    this.#options = options
    this.#volume = volumeAt(options.place)
    this.#keyring = options.keyring ?? new Keyring([])
  }

  /**
   * All outcomes of these messages that were on disk before the call, oldest first.
   * @throws SpoolKeyError when the key of one is not known
   */
  async outcomesOf(ids: readonly MessageId[]): Promise<ReadonlyMap<MessageId, readonly OutcomeRecord[]>> {
    for (;;) {
      await this.#refresh()
      const found = await this.#look(ids)
      if (found !== undefined) return found
    }
  }

  /** Waits for a look that is under way, and closes its volume. */
  async close(): Promise<void> {
    await this.#next?.catch(() => undefined)
    await this.#running?.catch(() => undefined)
    await this.#volume.close()
  }

  /** `undefined` when a log was moved away in between. */
  async #look(ids: readonly MessageId[]): Promise<ReadonlyMap<MessageId, readonly OutcomeRecord[]> | undefined> {
    const wanted = new Set(ids)
    const outcomes = new Map<MessageId, OutcomeRecord[]>(ids.map((id) => [id, []]))
    for (const log of this.#logs.values()) {
      const ofLog = await this.#readLog(log, ids)
      if (ofLog === undefined) return undefined
      for (const outcome of ofLog) if (wanted.has(outcome.id)) addOnce(outcomes.get(outcome.id) ?? [], outcome)
    }
    for (const ofMessage of outcomes.values()) ofMessage.sort((one, other) => one.at - other.at)
    return outcomes
  }

  /** `undefined` when the log is gone. */
  async #readLog(log: OutcomeLog, ids: readonly MessageId[]): Promise<readonly OutcomeRecord[] | undefined> {
    const possible = ids.filter((id) => acceptedAtOf(id) <= log.newestAt + clockSkewMs)
    if (possible.length === 0) return []
    if (log.index === undefined && !(await this.#scan(log))) return undefined
    const offsets = new Set(possible.flatMap((id) => log.index?.offsetsOf(id) ?? []))
    this.#shrink(log)
    // As they were written: of two in one millisecond the later one stands.
    return offsets.size === 0
      ? []
      : this.#readRecords(
          log,
          [...offsets].sort((one, other) => one - other),
        )
  }

  #readRecords(log: OutcomeLog, offsets: readonly number[]): Promise<readonly OutcomeRecord[] | undefined> {
    const seed = segmentSeed(log.origin)
    return this.#volume.withFile(log.path, async (fd) => {
      const outcomes: OutcomeRecord[] = []
      for (const offset of offsets) {
        const start = Buffer.allocUnsafe(headBytes)
        await readFully(fd, start, offset)
        const head = decodeHead(start, seed)
        if (head === undefined) continue
        const frame = Buffer.allocUnsafe(frameBytes(head))
        await readFully(fd, frame, offset)
        if (!isSound(head, frame)) continue
        const meta = this.#unwrap(log, offset, head, frame)
        if (meta !== undefined) outcomes.push(...decodeOutcomes(meta))
      }
      return outcomes
    })
  }

  /** `undefined`, and reported, when it was changed since it was encrypted. */
  #unwrap(log: OutcomeLog, offset: number, head: FrameHead, frame: Buffer): Buffer | undefined {
    try {
      return unwrapOutcomes(this.#keyring, head, frame, log.origin)
    } catch (error) {
      if (error instanceof SpoolKeyError) throw error
      this.#options.onDamage({ segment: log.path, offset, bytes: frame.length, reason: 'not as it was encrypted' })
      return undefined
    }
  }

  /** Resolves after a look that began after this call; those who wait together share it. */
  #refresh(): Promise<void> {
    if (this.#running === undefined) return this.#start()
    this.#next ??= this.#running.then(
      () => this.#start(),
      () => this.#start(),
    )
    return this.#next
  }

  #start(): Promise<void> {
    this.#next = undefined
    const running = this.#follow().finally(() => {
      if (this.#running === running) this.#running = undefined
    })
    this.#running = running
    return running
  }

  /** A log that is listed and not there was moved meanwhile: it is looked for again, so that nothing in it is overlooked. */
  async #follow(): Promise<void> {
    for (let looks = 1; !(await this.#followListed()) && looks < mostLooks; looks += 1);
  }

  /** False when one of the logs was gone. */
  async #followListed(): Promise<boolean> {
    const seen = new Set<string>()
    let areThere = true
    const listed = await this.#volume.listOutcomeLogs()
    await this.#volume.prepare(listed.flatMap(({ path }) => (this.#logs.has(path) ? [] : [path])))
    for (const { path, origin, isClosed } of listed) {
      seen.add(path)
      const log = this.#logs.get(path) ?? { path, origin, size: 0, end: 0, newestAt: 0, index: new OutcomeLogIndex() }
      this.#logs.set(path, log)
      if (log.isComplete === true || (await this.#volume.sizeOf(path)) === log.size) continue
      if (!(await this.#scan(log))) areThere = false
      else if (isClosed) log.isComplete = true
      this.#shrink(log)
    }
    for (const path of this.#logs.keys()) if (!seen.has(path)) this.#logs.delete(path)
    return areThere
  }

  /** Reads what is new in a log, or all of it when its index was dropped. False when it is gone. */
  async #scan(log: OutcomeLog): Promise<boolean> {
    const index = log.index ?? new OutcomeLogIndex()
    const scanned = await this.#volume.withFile(log.path, async (fd) => {
      const { end, size } = await scanSegment({
        fd,
        segment: log.origin,
        from: log.index === undefined ? 0 : log.end,
        withContent: true,
        visit: ({ head, offset, content }) => {
          log.newestAt = Math.max(log.newestAt, head.at)
          for (const { id } of decodeKeys(content)) {
            // By a clock that was set back, or another host's, an outcome may be older than its message.
            log.newestAt = Math.max(log.newestAt, acceptedAtOf(id))
            index.add(id, offset)
          }
        },
        onDamage: this.#options.onDamage,
      })
      log.index = index
      log.end = end
      log.size = size
      return true
    })
    return scanned ?? false
  }

  /** Drops the indexes of the oldest logs, but for `kept`, until the limit holds. */
  #shrink(kept: OutcomeLog): void {
    let count = 0
    for (const { index } of this.#logs.values()) count += index?.count ?? 0
    for (const log of [...this.#logs.values()].sort((one, other) => one.newestAt - other.newestAt)) {
      if (count <= this.#options.limit) return
      if (log === kept || log.index === undefined) continue
      count -= log.index.count
      log.index = undefined
    }
  }
}

interface OutcomeLog extends Pick<OutcomeLogFile, 'path' | 'origin'> {
  /** It was closed when it was read last: nothing more will come. */
  isComplete?: boolean
  size: number
  end: number
  /** Time of the newest outcome, or of the newest message that one speaks of. */
  newestAt: number
  /** Absent while it is not kept in memory. */
  index: OutcomeLogIndex | undefined
}

/** Which records of one log speak of a message: the offset of the last one, and of each one that before it. */
class OutcomeLogIndex {
  readonly #ids = new IdTable()
  /** Entry + 1 of the last record, by slot; 0 is none. */
  #last = new Uint32Array(256)
  #offsets = new Uint32Array(256)
  /** Entry + 1 of the record before. */
  #before = new Uint32Array(256)
  #count = 0

  get count(): number {
    return this.#count
  }

  add(id: MessageId, offset: number): void {
    const slot = this.#ids.add(id)
    this.#last = withRoom(this.#last, slot)
    this.#offsets = withRoom(this.#offsets, this.#count)
    this.#before = withRoom(this.#before, this.#count)
    this.#offsets[this.#count] = offset
    this.#before[this.#count] = this.#last[slot] ?? 0
    this.#count += 1
    this.#last[slot] = this.#count
  }

  offsetsOf(id: MessageId): readonly number[] {
    const slot = this.#ids.find(id)
    const offsets: number[] = []
    if (slot === undefined) return offsets
    for (let entry = this.#last[slot] ?? 0; entry !== 0; entry = this.#before[entry - 1] ?? 0) {
      offsets.push(this.#offsets[entry - 1] ?? 0)
    }
    return offsets
  }
}

/** One that is still listed then was deleted: nobody needed it. */
const mostLooks = 5

/** Clocks of the hosts that share a spool may differ by this much. */
const clockSkewMs = 3_600_000

function withRoom(column: Uint32Array<ArrayBuffer>, index: number): Uint32Array<ArrayBuffer> {
  if (index < column.length) return column
  const larger = new Uint32Array(column.length * 2)
  larger.set(column)
  return larger
}

function addOnce(outcomes: OutcomeRecord[], added: OutcomeRecord): void {
  const isKnown = outcomes.some(
    ({ recipient, kind, at }) => recipient === added.recipient && kind === added.kind && at === added.at,
  )
  if (!isKnown) outcomes.push(added)
}
