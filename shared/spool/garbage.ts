import { systemClock } from '../clock.ts'
import type { Clock } from '../clock.ts'
import { isFull } from './free-space.ts'
import type { LiveIndex } from './live-index.ts'
import { cleanOutcomeLog } from './outcome-garbage.ts'
import { relocateRecords } from './relocate.ts'
import type { OnStep } from './relocate.ts'
import { parseSegmentPath, relocatedRecord, segmentPath } from './segment-name.ts'
import type { SegmentState } from './segment-state.ts'
import { segmentsOf } from './spool-files.ts'
import type { OutcomeLogFile, SpoolListing } from './spool-files.ts'
import { SpoolReadError } from './spool.ts'
import type { SpoolVolume } from './volume.ts'

export interface GarbageOptions {
  /** Nothing is deleted before its last message was settled for this long. */
  readonly olderThanMs: number
  /** Live messages are moved out of segments that were not written for this long. 10 minutes when absent. */
  readonly relocateAfterMs?: number
  /** Outcomes stay for at least this long. 1 hour when absent. */
  readonly outcomesMs?: number
  /** Content that was not finished and not written for this long was given up. 1 hour when absent. */
  readonly unfinishedMs?: number
  readonly clock?: Clock
  readonly onStep?: OnStep
}

export interface GarbageReport {
  readonly freedBytes: number
  readonly segments: number
  readonly largeFiles: number
  readonly outcomeLogs: number
  readonly relocated: number
  readonly writers: number
  /** What was left where it is and needs a look, one sentence each. */
  readonly troubles: readonly string[]
}

/**
 * Frees what no live message needs: settled segments and contents, outcome logs, folders of dead writers. Live messages are
 * moved out of old segments that are mostly settled. Whatever it is stopped at, nothing live is lost and the next run goes
 * on from there:
 * 1. Dead writers are declared dead, so that they acknowledge nothing that this run does not see.
 * 2. The folders are listed: what is closed now is complete.
 * 3. The index is refreshed: it knows each record in what is closed.
 * 4. Copies are on disk before originals go; deleted records are on disk as deleted before their outcomes go.
 */
export async function collectGarbage(index: LiveIndex, options: GarbageOptions): Promise<GarbageReport> {
  const run = new GarbageRun(index, options)
  await run.declareDeadWriters()
  const listing = await index.volume.list()
  await index.refresh()
  await run.removeDrafts(listing)
  await run.removeLargeFiles(listing)
  await run.removeSegments(listing)
  await run.relocate(listing)
  await run.removeRelocated(listing)
  await run.removeOutcomeLogs(listing)
  await run.removeWriters(listing)
  return run.report()
}

/** A segment is relocated when at most this share of it is live. */
const relocateBelowShare = 0.2

class GarbageRun {
  readonly #index: LiveIndex
  readonly #volume: SpoolVolume
  readonly #olderThanMs: number
  readonly #relocateAfterMs: number
  readonly #outcomesMs: number
  readonly #unfinishedMs: number
  readonly #clock: Clock
  readonly #onStep: OnStep
  readonly #troubles = new Set<string>()
  #freedBytes = 0
  #segments = 0
  #largeFiles = 0
  #outcomeLogs = 0
  #relocated = 0
  #writers = 0

  constructor(index: LiveIndex, options: GarbageOptions) {
    this.#index = index
    this.#volume = index.volume
    this.#olderThanMs = options.olderThanMs
    this.#relocateAfterMs = options.relocateAfterMs ?? Math.max(600_000, options.olderThanMs)
    this.#outcomesMs = options.outcomesMs ?? 3_600_000
    this.#unfinishedMs = options.unfinishedMs ?? 3_600_000
    this.#clock = options.clock ?? systemClock
    this.#onStep = options.onStep ?? (() => undefined)
  }

  report(): GarbageReport {
    return {
      freedBytes: this.#freedBytes,
      segments: this.#segments,
      largeFiles: this.#largeFiles,
      outcomeLogs: this.#outcomeLogs,
      relocated: this.#relocated,
      writers: this.#writers,
      troubles: [...this.#troubles],
    }
  }

  async declareDeadWriters(): Promise<void> {
    const { writers } = await this.#volume.list()
    for (const { name, hasAlive } of writers) {
      if (!hasAlive || (await this.#volume.isWriterAlive(name, this.#clock))) continue
      await this.#onStep('declare dead')
      await this.#volume.declareDead(name)
    }
  }

  /** Nobody waits any more for what is said of them: their process is gone, or takes longer than anybody would. */
  async removeDrafts({ writers }: SpoolListing): Promise<void> {
    for (const { name, hasAlive, files } of writers) {
      for (const { sequence, extension } of files) {
        if (extension !== 'draft') continue
        await this.#removeWhenQuiet(segmentPath(name, sequence, extension), hasAlive ? this.#unfinishedMs : 0)
      }
    }
  }

  /** Contents before the segments that name them: once a segment is gone, nobody knows that its contents are settled. */
  async removeLargeFiles(listing: SpoolListing): Promise<void> {
    const live = this.#contents('liveLargeFiles')
    const settled = this.#contents('settledLargeFiles')
    const unclear = this.#unclearWriters(listing)
    for (const { name, hasAlive, files } of listing.writers) {
      for (const { sequence, extension } of files) {
        const path = segmentPath(name, sequence, extension)
        if (extension !== 'big' || live.has(path) || unclear.has(name)) continue
        const quietMs = settled.has(path) ? this.#olderThanMs : hasAlive ? this.#unfinishedMs : 0
        if (await this.#removeWhenQuiet(path, quietMs)) this.#largeFiles += 1
      }
    }
  }

  async removeSegments(listing: SpoolListing): Promise<void> {
    for (const segment of this.#closedSegments(listing)) {
      if (segment.live > 0) continue
      if (this.#clock.now() - segment.settledAt < this.#olderThanMs) continue
      if (await this.#removeWhenQuiet(segment.path, this.#olderThanMs)) this.#segments += 1
    }
  }

  async relocate(listing: SpoolListing): Promise<void> {
    const { folder } = this.#volume
    if (folder === undefined) return
    const old = new Set<SegmentState>()
    for (const segment of this.#closedSegments(listing)) {
      if (segment.live === 0 || segment.liveBytes > segment.sizeBytes * relocateBelowShare) continue
      const ageMs = await this.#quietMs(segment.path)
      if (ageMs !== undefined && ageMs >= this.#relocateAfterMs) old.add(segment)
    }
    if (old.size === 0) return
    for (const [segment, records] of this.#index.liveRecords(old)) {
      try {
        await relocateRecords(folder, records, this.#onStep)
      } catch (error) {
        if (!isFull(error) && !(error instanceof SpoolReadError)) throw error
        this.#troubles.add(`${segment.path} stays: ${String(error)}`)
        continue
      }
      this.#relocated += records.length
      if (await this.#removeWhenQuiet(segment.path, 0)) this.#segments += 1
    }
  }

  async removeRelocated(listing: SpoolListing): Promise<void> {
    const { relocated } = listing
    const segments = new Set<SegmentState>()
    for (const { origin } of relocated) {
      const segment = origin.kind === 'record' ? this.#index.segment(origin.segment) : undefined
      if (segment !== undefined) segments.add(segment)
    }
    const liveRecords = this.#index.liveRecords(segments)
    const needed = new Set<string>()
    for (const [segment, records] of liveRecords) {
      for (const { locator } of records) needed.add(relocatedRecord(segment.path, locator.offset))
    }
    const contents = this.#contents('liveLargeFiles')
    const unclear = this.#unclearWriters(listing)
    for (const { path, origin } of relocated) {
      const isNeeded = origin.kind === 'record' ? needed.has(path) : contents.has(origin.segment)
      if (isNeeded || unclear.has(writerOf(origin.segment))) continue
      await this.#removeWhenQuiet(path, this.#olderThanMs)
    }
  }

  async removeOutcomeLogs(listing: SpoolListing): Promise<void> {
    const logs = await this.#oldOutcomeLogs(listing)
    if (logs.length === 0) return
    // What was deleted before must not come back after a power cut when its outcomes are gone.
    await this.#volume.syncRemoved(listing)
    const options = { nowAt: this.#clock.now(), lookAgainMs: this.#outcomesMs / 6, onStep: this.#onStep }
    for (const log of logs) {
      try {
        const freed = await cleanOutcomeLog(this.#index, log, options)
        this.#freedBytes += freed
        if (freed > 0) this.#outcomeLogs += 1
      } catch (error) {
        if (!isFull(error) && !(error instanceof SpoolReadError)) throw error
        this.#troubles.add(`${log.path} stays: ${String(error)}`)
      }
    }
  }

  async removeWriters({ writers }: SpoolListing): Promise<void> {
    for (const { name, hasAlive, files } of writers) {
      if (hasAlive || files.length > 0) continue
      await this.#onStep('remove folder')
      if (await this.#volume.removeWriter(name)) this.#writers += 1
    }
    await this.#volume.removeUnfinished(this.#unfinishedMs, this.#clock, this.#onStep)
  }

  /** Segments that nobody writes any more, that were read to their end and are sound. */
  *#closedSegments(listing: SpoolListing): Generator<SegmentState> {
    for (const { path, isClosed } of segmentsOf(listing.writers, 'msg')) {
      const segment = isClosed ? this.#index.segment(path) : undefined
      if (segment?.isComplete !== true) continue
      if (segment.damages === 0) yield segment
      else this.#troubles.add(`${path} is damaged: it stays for the operator`)
    }
  }

  #contents(state: 'liveLargeFiles' | 'settledLargeFiles'): ReadonlySet<string> {
    const contents = new Set<string>()
    for (const segment of this.#index.segments()) {
      for (const sequence of segment[state]) contents.add(segmentPath(writerOf(segment.path), sequence, 'big'))
    }
    return contents
  }

  /** Writers of whom something is damaged or could not be read: nobody knows what it referred to. */
  #unclearWriters(listing: SpoolListing): ReadonlySet<string> {
    const writers = new Set<string>()
    for (const segment of this.#index.segments()) if (segment.damages > 0) writers.add(writerOf(segment.path))
    for (const { path, isClosed } of segmentsOf(listing.writers, 'msg')) {
      if (isClosed && this.#index.segment(path)?.isComplete === false) writers.add(writerOf(path))
    }
    return writers
  }

  async #oldOutcomeLogs({ outcomeLogs }: SpoolListing): Promise<readonly OutcomeLogFile[]> {
    const old: OutcomeLogFile[] = []
    for (const log of outcomeLogs) {
      const quietMs = log.isClosed ? await this.#quietMs(log.path) : undefined
      if (quietMs !== undefined && quietMs >= this.#outcomesMs) old.push(log)
    }
    return old
  }

  async #removeWhenQuiet(path: string, quietMs: number): Promise<boolean> {
    const stats = await this.#volume.stat(path)
    if (stats === undefined || this.#clock.now() - stats.mtimeMs < quietMs) return false
    await this.#onStep(`delete ${path}`)
    await this.#volume.remove(path)
    this.#freedBytes += stats.size
    return true
  }

  async #quietMs(path: string): Promise<number | undefined> {
    const stats = await this.#volume.stat(path)
    return stats === undefined ? undefined : this.#clock.now() - stats.mtimeMs
  }
}

function writerOf(segment: string): string {
  return parseSegmentPath(segment)?.writer ?? ''
}
