import { rm } from 'node:fs/promises'

import type { AppendableRecord } from '../append-log.ts'
import { ChunkWriter } from '../chunk.ts'
import { closeFile, openFile, writeFully } from '../file-io.ts'
import { encodeHead, frameBytes } from '../frame.ts'
import { isFull } from '../free-space.ts'
import type { Draft, OwnContent } from '../incoming.ts'
import type { AtRest } from '../record-wrap.ts'
import { segmentPath } from '../segment-name.ts'
import { SpoolFullError } from '../spool.ts'
import { encodeGroup } from './bucket-log.ts'
import type { BucketWriter } from './bucket-writer.ts'
import { keyOf } from './keys.ts'
import type { ObjectStore } from './object-store.ts'
import type { ReadCache } from './read-cache.ts'

export interface ContentPlace {
  readonly store: ObjectStore
  readonly cache: ReadCache
  readonly writer: BucketWriter
  readonly sequence: number
}

const highWaterBytes = 512 * 1024

/**
 * The content of a large message: collected in a file of this host while it comes in, then put as one object, which is there as a whole or
 * not at all. The file stays in the cache for who reads it next. Nothing half done is ever left in the bucket.
 */
export class BucketContent implements OwnContent {
  readonly sequence: number
  readonly writer: BucketWriter
  readonly #place: ContentPlace
  readonly #file: string
  readonly #making: string
  readonly #chunks: ChunkWriter | undefined
  #fd: number | undefined
  #waiting: Buffer[] = []
  #waitingBytes = 0
  #writtenBytes = 0
  #running: Promise<void> | undefined
  #failure: Error | undefined
  #finished: Promise<void> | undefined

  constructor(place: ContentPlace, atRest?: AtRest) {
    this.#place = place
    this.writer = place.writer
    this.sequence = place.sequence
    this.#file = segmentPath(place.writer.name, place.sequence, 'big')
    this.#making = place.cache.newFile()
    this.#chunks = atRest && new ChunkWriter(atRest, this.#file)
  }

  write(chunks: readonly Buffer[]): void | Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    for (const chunk of chunks) {
      this.#waiting.push(chunk)
      this.#waitingBytes += chunk.length
    }
    this.#running ??= this.#drain()
    if (this.#waitingBytes > highWaterBytes) return this.#settled()
  }

  finish(): Promise<void> {
    return (this.#finished ??= this.#finish())
  }

  /** A record that was being put may be stored later all the same: then somebody needs the content. Cleaning finds what nobody needs. */
  async giveUp(hasRecord: boolean): Promise<void> {
    this.#failure ??= new Error('the content was given up')
    this.#waiting = []
    await this.#running
    await this.#finished?.catch(() => undefined)
    await this.#close()
    await rm(this.#making, { force: true })
    if (hasRecord || this.#finished === undefined) return
    await this.#place.cache.remove(this.#file)
    await this.#place.store.remove([keyOf(this.#file)])
  }

  async #finish(): Promise<void> {
    await this.#settled()
    const fd = (this.#fd ??= await openFile(this.#making, 'wx'))
    if (this.#chunks !== undefined) await this.#write(fd, await this.#chunks.end())
    await this.#close()
    const { store, cache } = this.#place
    await store.put(keyOf(this.#file), { path: this.#making, size: this.#writtenBytes })
    await cache.adopt(this.#making, this.#file)
  }

  async #settled(): Promise<void> {
    await this.#running
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Never rejects: what goes wrong is thrown to the next caller. */
  async #drain(): Promise<void> {
    try {
      const fd = (this.#fd ??= await openFile(this.#making, 'wx'))
      while (this.#waiting.length > 0) await this.#writeWaiting(fd)
    } catch (error) {
      this.#failure ??= error instanceof Error ? error : new Error(String(error))
    } finally {
      this.#running = undefined
    }
  }

  async #writeWaiting(fd: number): Promise<void> {
    const chunks = this.#waiting
    this.#waiting = []
    this.#waitingBytes = 0
    await this.#write(fd, this.#chunks === undefined ? chunks : await this.#chunks.take(chunks))
  }

  async #write(fd: number, buffers: readonly Buffer[]): Promise<void> {
    const { bytes, error } = await writeFully(fd, buffers, this.#writtenBytes)
    this.#writtenBytes += bytes
    if (error === undefined) return
    throw isFull(error) ? new SpoolFullError('the disk of the cache is full', { cause: error }) : error
  }

  async #close(): Promise<void> {
    const fd = this.#fd
    this.#fd = undefined
    if (fd !== undefined) await closeFile(fd)
  }
}

/** The record of a message that is not accepted yet, as an object that no index looks at. */
export class BucketDraft implements Draft {
  readonly path: string
  readonly #place: Omit<ContentPlace, 'sequence'>
  #written: Promise<void> | undefined

  constructor(place: ContentPlace) {
    this.#place = place
    this.path = segmentPath(place.writer.name, place.sequence, 'draft')
  }

  write(record: AppendableRecord): Promise<void> {
    return (this.#written ??= this.#write(record))
  }

  async remove(): Promise<void> {
    await this.#written?.catch(() => undefined)
    await this.#place.cache.remove(this.path)
    await this.#place.store.remove([keyOf(this.path)])
  }

  async #write(record: AppendableRecord): Promise<void> {
    const one = { record, head: encodeHead(record.head), bytes: frameBytes(record.head) }
    const { octets } = encodeGroup([one], this.path, 0)
    await Promise.all([this.#place.store.put(keyOf(this.path), octets), this.#place.cache.keep(this.path, [octets])])
  }
}
