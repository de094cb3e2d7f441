import { open, rm } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'

import { systemClock } from '../../clock.ts'
import type { Clock } from '../../clock.ts'
import { fileSize, fileSizeAt, withFile, writeFully } from '../file-io.ts'
import { RecordReader } from '../record-reader.ts'
import type { RecordReaderOptions } from '../record-reader.ts'
import type { OutcomeLogFile, SpoolListing } from '../spool-files.ts'
import type { FileStat, KeyNames, SpoolVolume } from '../volume.ts'
import { filesOf, leftPartsIn, marksOf, outcomeLogsOf, spoolListing } from './bucket-listing.ts'
import type { BucketFile, WriterMarks } from './bucket-listing.ts'
import { deadAfterMs, declareDead } from './bucket-writer.ts'
import { alivePrefix, deadPrefix, keyNamesPrefix, keyOf, outcomePrefix, partKey } from './keys.ts'
import { BucketError } from './object-store.ts'
import type { Listing, ObjectStore } from './object-store.ts'
import type { ReadCache } from './read-cache.ts'

const partsAtOnce = 16
const removedAtOnce = 500
const fetchedAtOnce = 32

/**
 * A spool in a bucket. Objects are read through the host's cache, whole and once: a segment is no more than one group of records. What it
 * tells of files is from its last listing, and when they were written by the clock of this host.
 */
export class BucketVolume implements SpoolVolume {
  readonly name: string
  readonly store: ObjectStore
  readonly cache: ReadCache
  readonly keys: KeyNames
  readonly #clock: Clock
  #files: ReadonlyMap<string, BucketFile> = new Map()
  /** How far the clock of the store is ahead of ours; rather too little: what is young must not seem old. */
  #aheadMs = 0
  #marks: WriterMarks = { alive: new Map(), dead: new Set(), at: 0 }
  /** Outcome logs that are not whole yet, as far as they were read. */
  readonly #growing = new Map<string, GrowingLog>()
  #removed: string[] = []
  #leftParts: readonly string[] = []

  constructor(store: ObjectStore, cache: ReadCache, clock: Clock = systemClock) {
    this.name = store.name
    this.#clock = clock
    this.store = store
    this.cache = cache
    this.keys = keyNames(store)
  }

  async isEmpty(): Promise<boolean> {
    return false
  }

  /** Whoever wrote what is listed, and is not listed himself behind it, has ended. */
  async list(): Promise<SpoolListing> {
    await this.#flush()
    const listing = await this.#listed('')
    this.#files = filesOf(listing)
    this.#marks = marksOf(listing)
    this.#leftParts = leftPartsIn(listing, this.#files)
    await this.#forgetGrown()
    return spoolListing(this.#files, this.#marks)
  }

  async listOutcomeLogs(): Promise<readonly OutcomeLogFile[]> {
    const logs = filesOf(await this.#listed(outcomePrefix))
    this.#files = new Map([...[...this.#files].filter(([file]) => !file.endsWith('.out')), ...logs])
    await this.#forgetGrown()
    return outcomeLogsOf(logs)
  }

  async withFile<T>(file: string, use: (fd: number) => Promise<T>): Promise<T | undefined> {
    if (this.#files.get(file)?.parts !== undefined) return this.#withGrowing(file, use)
    const kept = await this.#withKept(file, use)
    if (kept !== undefined) return kept.result
    if (!(await this.fetch(file))) return undefined
    const fetched = await this.#withKept(file, use)
    // It must not be taken for one without records.
    if (fetched === undefined) throw new BucketError(`${this.name}: ${keyOf(file)} was not read as a whole`)
    return fetched.result
  }

  /** Brings an object into the cache; false when it is nowhere. */
  fetch(file: string): Promise<boolean> {
    return this.cache.fetch(file, () => this.store.get(keyOf(file)))
  }

  async prepare(files: readonly string[]): Promise<void> {
    const missing = files.filter((file) => this.#files.get(file)?.parts === undefined)
    await eachOf(missing, fetchedAtOnce, async (file) => {
      if ((await fileSizeAt(join(this.cache.path, file))) !== this.#files.get(file)?.size) await this.fetch(file)
    })
  }

  async sizeOf(file: string): Promise<number | undefined> {
    return this.#files.get(file)?.size
  }

  async stat(file: string): Promise<FileStat | undefined> {
    const found = this.#files.get(file)
    return found && { size: found.size, mtimeMs: found.mtimeMs - this.#aheadMs }
  }

  /** Many go with one request: at the latest when it is listed next. */
  async remove(file: string): Promise<void> {
    const found = this.#files.get(file)
    this.#removed.push(keyOf(file), ...(found?.parts ?? []).map((offset) => partKey(file, offset)))
    await this.cache.remove(file)
    if (this.#removed.length >= removedAtOnce) await this.#flush()
  }

  syncRemoved(): Promise<void> {
    return this.#flush()
  }

  async isWriterAlive(writer: string): Promise<boolean> {
    const { alive, dead, at } = this.#marks
    const beatAt = alive.get(writer)
    return beatAt !== undefined && !dead.has(writer) && at - beatAt < deadAfterMs
  }

  declareDead(writer: string): Promise<void> {
    return declareDead(this.store, writer)
  }

  async removeWriter(writer: string): Promise<boolean> {
    await this.#flush()
    await this.store.remove([alivePrefix + writer])
    await this.store.remove([deadPrefix + writer])
    await rm(join(this.cache.path, writer), { recursive: true, force: true })
    return true
  }

  /** Parts of outcome logs that are whole, as of the last listing. */
  async removeUnfinished(_unfinishedMs: number, _clock: Clock, onStep: (step: string) => unknown): Promise<void> {
    await this.#flush()
    const left = this.#leftParts
    if (left.length === 0) return
    this.#leftParts = []
    await onStep('remove unfinished')
    await this.store.remove(left)
  }

  reader(options: RecordReaderOptions): RecordReader {
    const origin = { fetch: (file: string) => this.fetch(file), drop: (file: string) => this.cache.remove(file) }
    return new RecordReader(this.cache.path, { ...options, origin })
  }

  /** Octets of all objects. */
  async usedBytes(): Promise<number> {
    const { objects } = await this.store.list('')
    return objects.reduce((sum, { size }) => sum + size, 0)
  }

  async close(): Promise<void> {
    await this.#flush().catch(() => undefined)
    this.#files = new Map()
    await this.#forgetGrown()
  }

  async #listed(prefix: string): Promise<Listing> {
    const listing = await this.store.list(prefix)
    this.#aheadMs = listing.at - this.#clock.now()
    return listing
  }

  async #flush(): Promise<void> {
    const keys = this.#removed
    this.#removed = []
    if (keys.length > 0) await this.store.remove(keys)
  }

  /** `undefined` when the cache does not have it as it is listed: a disk that was full, or forgot, may have left a part. */
  #withKept<T>(file: string, use: (fd: number) => Promise<T>): Promise<{ readonly result: T } | undefined> {
    return withFile(join(this.cache.path, file), async (fd) => {
      const listed = this.#files.get(file)?.size
      return listed === undefined || listed === (await fileSize(fd)) ? { result: await use(fd) } : undefined
    })
  }

  /** Those that are whole now, or gone, are read like any other file from here on. */
  async #forgetGrown(): Promise<void> {
    for (const [file, log] of this.#growing) {
      if (this.#files.get(file)?.parts !== undefined) continue
      this.#growing.delete(file)
      await log.next
      await log.handle.then(
        (handle) => handle.close(),
        () => undefined,
      )
    }
  }

  async #withGrowing<T>(file: string, use: (fd: number) => Promise<T>): Promise<T | undefined> {
    const log: GrowingLog = this.#growing.get(file) ?? { handle: this.#nameless(), size: 0, next: Promise.resolve() }
    this.#growing.set(file, log)
    log.handle.catch(() => this.#growing.delete(file))
    const result = log.next.then(async () => {
      const { fd } = await log.handle
      return (await this.#grow(file, log)) ? use(fd) : undefined
    })
    log.next = result.then(
      () => undefined,
      () => undefined,
    )
    return result
  }

  /** A file without a name: it is gone with this process. */
  async #nameless(): Promise<FileHandle> {
    const path = this.cache.newFile()
    const handle = await open(path, 'wx+', 0o600)
    await rm(path)
    return handle
  }

  /** Reads the parts that the last listing told of and that are not here yet. False when the log is gone. */
  async #grow(file: string, log: GrowingLog): Promise<boolean> {
    const missing = (this.#files.get(file)?.parts ?? []).filter((offset) => offset >= log.size)
    for (let start = 0; start < missing.length; start += partsAtOnce) {
      const some = missing.slice(start, start + partsAtOnce)
      const read = await Promise.all(some.map((offset) => this.#read(partKey(file, offset))))
      for (const octets of read) {
        if (octets === undefined) return this.#readWhole(file, log)
        await writeAll(await log.handle, octets, log.size)
        log.size += octets.length
      }
    }
    return true
  }

  /** Became whole since it was listed: the same octets in one object. */
  async #readWhole(file: string, log: GrowingLog): Promise<boolean> {
    const octets = await this.#read(keyOf(file))
    if (octets === undefined) return false
    await writeAll(await log.handle, octets, 0)
    log.size = octets.length
    return true
  }

  async #read(key: string): Promise<Buffer | undefined> {
    const octets = await this.store.get(key)
    return octets === undefined ? undefined : buffer(octets)
  }
}

/** Runs `act` for each, so many at a time. */
async function eachOf(files: readonly string[], atOnce: number, act: (file: string) => Promise<void>): Promise<void> {
  const rest = files.values()
  const run = async (): Promise<void> => {
    for (const file of rest) await act(file)
  }
  await Promise.all(Array.from({ length: atOnce }, run))
}

/** @throws what stopped it before all was written */
async function writeAll({ fd }: FileHandle, octets: Buffer, position: number): Promise<void> {
  const { error } = await writeFully(fd, [octets], position)
  if (error !== undefined) throw error
}

interface GrowingLog {
  readonly handle: Promise<FileHandle>
  size: number
  /** What is under way with it; never rejects. */
  next: Promise<void>
}

function keyNames(store: ObjectStore): KeyNames {
  return {
    list: async () => (await store.list(keyNamesPrefix)).objects.map(({ key }) => key.slice(keyNamesPrefix.length)),
    add: async (id) => {
      await store.put(keyNamesPrefix + id, Buffer.alloc(0))
    },
    remove: (id) => store.remove([keyNamesPrefix + id]),
  }
}
