import { rm } from 'node:fs/promises'

import type { AppendableRecord } from '../append-log.ts'
import { ChunkWriter } from '../chunk.ts'
import { openFile } from '../file-io.ts'
import { FillingFile } from '../filling-file.ts'
import { encodeHead, frameBytes } from '../frame.ts'
import type { Draft, OwnContent } from '../incoming.ts'
import type { AtRest } from '../record-wrap.ts'
import { segmentPath } from '../segment-name.ts'
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

/**
 * The content of a large message: collected in a file of this host while it comes in, then put as one object, which is there as a whole or
 * not at all. The file stays in the cache for who reads it next. Nothing half done is ever left in the bucket.
 */
export class BucketContent implements OwnContent {
  readonly sequence: number
  readonly writer: BucketWriter
  readonly #place: ContentPlace
  readonly #name: string
  readonly #making: string
  readonly #file: FillingFile
  #finished: Promise<void> | undefined

  constructor(place: ContentPlace, atRest?: AtRest) {
    this.#place = place
    this.writer = place.writer
    this.sequence = place.sequence
    this.#name = segmentPath(place.writer.name, place.sequence, 'big')
    this.#making = place.cache.newFile()
    this.#file = new FillingFile({
      open: () => openFile(this.#making, 'wx'),
      chunks: atRest && new ChunkWriter(atRest, this.#name),
      fullText: 'the disk of the cache is full',
    })
  }

  write(chunks: readonly Buffer[]): void | Promise<void> {
    return this.#file.write(chunks)
  }

  finish(): Promise<void> {
    return (this.#finished ??= this.#finish())
  }

  /** A record that was being put may be stored later all the same: then somebody needs the content. Cleaning finds what nobody needs. */
  async giveUp(hasRecord: boolean): Promise<void> {
    await this.#file.stop()
    await this.#finished?.catch(() => undefined)
    await this.#file.close()
    await rm(this.#making, { force: true })
    if (hasRecord || this.#finished === undefined) return
    await this.#place.cache.remove(this.#name)
    await this.#place.store.remove([keyOf(this.#name)])
  }

  async #finish(): Promise<void> {
    await this.#file.end()
    await this.#file.close()
    const { store, cache } = this.#place
    await store.put(keyOf(this.#name), { path: this.#making, size: this.#file.writtenBytes })
    // It is stored: the cache may do without.
    await cache.adopt(this.#making, this.#name).catch(() => rm(this.#making, { force: true }))
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
