import type { ChunkWriter } from './chunk.ts'
import { closeFile, writeFully } from './file-io.ts'
import { isFull } from './free-space.ts'
import { SpoolFullError } from './spool.ts'

export interface FillingFileOptions {
  /** Makes the file, when the first octets come. */
  open(): Promise<number>
  /** Absent: the octets are written as they come. */
  readonly chunks: ChunkWriter | undefined
  /** What a full disk is told as. */
  readonly fullText: string
}

const highWaterBytes = 512 * 1024

/** A file that octets go into as they come in, without the one who brings them waiting for each write. */
export class FillingFile {
  readonly #options: FillingFileOptions
  #fd: number | undefined
  #waiting: Buffer[] = []
  #waitingBytes = 0
  #writtenBytes = 0
  #running: Promise<void> | undefined
  #failure: Error | undefined

  constructor(options: FillingFileOptions) {
    this.#options = options
  }

  /** Octets in the file. */
  get writtenBytes(): number {
    return this.#writtenBytes
  }

  /** Takes octets; the promise, if any, is for the caller to wait when the disk is slower than the client. @throws SpoolFullError */
  write(chunks: readonly Buffer[]): void | Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    for (const chunk of chunks) {
      this.#waiting.push(chunk)
      this.#waitingBytes += chunk.length
    }
    this.#running ??= this.#drain()
    if (this.#waitingBytes > highWaterBytes) return this.#settled()
  }

  /** Resolves when the operating system has all octets; the descriptor stays open until `close`. @throws SpoolFullError */
  async end(): Promise<number> {
    await this.#settled()
    const fd = (this.#fd ??= await this.#options.open())
    const { chunks } = this.#options
    if (chunks !== undefined) await this.#write(fd, await chunks.end())
    return fd
  }

  /** Takes no more, and drops what waits. */
  async stop(): Promise<void> {
    this.#failure ??= new Error('the content was given up')
    this.#waiting = []
    await this.#running
  }

  async close(): Promise<void> {
    const fd = this.#fd
    this.#fd = undefined
    if (fd !== undefined) await closeFile(fd)
  }

  async #settled(): Promise<void> {
    await this.#running
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Never rejects: what goes wrong is thrown to the next caller. */
  async #drain(): Promise<void> {
    try {
      const fd = (this.#fd ??= await this.#options.open())
      while (this.#waiting.length > 0) await this.#writeWaiting(fd)
    } catch (error) {
      this.#failure ??= this.#asWriteError(error)
    } finally {
      this.#running = undefined
    }
  }

  async #writeWaiting(fd: number): Promise<void> {
    const waiting = this.#waiting
    this.#waiting = []
    this.#waitingBytes = 0
    const { chunks } = this.#options
    await this.#write(fd, chunks === undefined ? waiting : await chunks.take(waiting))
  }

  async #write(fd: number, buffers: readonly Buffer[]): Promise<void> {
    const { bytes, error } = await writeFully(fd, buffers, this.#writtenBytes)
    this.#writtenBytes += bytes
    if (error !== undefined) throw this.#asWriteError(error)
  }

  #asWriteError(error: unknown): Error {
    if (error instanceof SpoolFullError) return error
    if (isFull(error)) return new SpoolFullError(this.#options.fullText, { cause: error })
    return error instanceof Error ? error : new Error(String(error))
  }
}
