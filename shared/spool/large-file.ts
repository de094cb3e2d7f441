import { join } from 'node:path'

import { ChunkWriter } from './chunk.ts'
import { closeFile, hasName, openFile, syncFile, writeFully } from './file-io.ts'
import { isFull } from './free-space.ts'
import type { OwnContent } from './incoming.ts'
import type { AtRest } from './record-wrap.ts'
import { fileName, segmentPath } from './segment-name.ts'
import { SpoolFullError } from './spool.ts'
import type { WriterFolder } from './writer-folder.ts'

/** The content of a large message on its way into a file of its own, so that a slow client never blocks the log. */
export class LargeFile implements OwnContent {
  readonly writer: WriterFolder
  readonly sequence: number
  readonly #file: string
  /** Absent: the content is written as it comes. */
  readonly #chunks: ChunkWriter | undefined
  #fd: number | undefined
  #waiting: Buffer[] = []
  #waitingBytes = 0
  #writtenBytes = 0
  #running: Promise<void> | undefined
  #failure: Error | undefined
  #finished: Promise<void> | undefined

  constructor(folder: WriterFolder, sequence: number, atRest?: AtRest) {
    this.writer = folder
    this.sequence = sequence
    this.#file = fileName(sequence, 'big')
    this.#chunks = atRest && new ChunkWriter(atRest, segmentPath(folder.name, sequence, 'big'))
  }

  /** Takes octets; the promise, if any, is for the caller to wait when the disk is slower than the client. */
  write(chunks: readonly Buffer[]): void | Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    for (const chunk of chunks) {
      this.#waiting.push(chunk)
      this.#waitingBytes += chunk.length
    }
    this.#running ??= this.#drain()
    if (this.#waitingBytes > highWaterBytes) return this.#settled()
  }

  /** Resolves when content and name are on disk; that is done once. */
  finish(): Promise<void> {
    return (this.#finished ??= this.#finish())
  }

  async #finish(): Promise<void> {
    await this.#settled()
    const fd = (this.#fd ??= await this.#open())
    if (this.#chunks !== undefined) await this.#writeEnd(fd, this.#chunks)
    await Promise.all([syncFile(fd), this.writer.sync()])
    if (!(await hasName(fd))) throw new Error(`${this.#file} was deleted while its content came in`)
    this.#fd = undefined
    await closeFile(fd)
  }

  /** In a folder that was declared dead the record may stand: then another process delivers it and needs the content. */
  async giveUp(): Promise<void> {
    if (!this.writer.isOwn()) return
    this.#failure ??= new Error('the content was given up')
    this.#waiting = []
    await this.#running
    if (this.#fd !== undefined) await closeFile(this.#fd)
    this.#fd = undefined
    await this.writer.removeFile(this.#file)
  }

  async #settled(): Promise<void> {
    await this.#running
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Never rejects: what goes wrong is thrown to the next caller. */
  async #drain(): Promise<void> {
    try {
      this.#fd ??= await this.#open()
      while (this.#waiting.length > 0) await this.#writeWaiting(this.#fd)
    } catch (error) {
      this.#failure ??= asWriteError(error)
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

  async #writeEnd(fd: number, chunks: ChunkWriter): Promise<void> {
    try {
      await this.#write(fd, await chunks.end())
    } catch (error) {
      throw asWriteError(error)
    }
  }

  async #write(fd: number, buffers: readonly Buffer[]): Promise<void> {
    const { bytes, error } = await writeFully(fd, buffers, this.#writtenBytes)
    this.#writtenBytes += bytes
    if (error !== undefined) throw asError(error)
  }

  #open(): Promise<number> {
    return openFile(join(this.writer.path, this.#file), 'wx')
  }
}

const highWaterBytes = 512 * 1024

function asWriteError(error: unknown): Error {
  return isFull(error) ? new SpoolFullError('the disk is full', { cause: error }) : asError(error)
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
