import type { Gunzip, InflateRaw } from 'node:zlib'

/** Unpacks in a thread of libuv, chunk by chunk: no faster than `sink` takes it, so that no more than two chunks are in memory. */
export class Unpacker {
  /** Its data has ended: what follows is not part of it. */
  isEnded = false
  readonly #stream: Gunzip | InflateRaw
  #taking: Promise<void> = Promise.resolve()
  #failure: Error | undefined
  #wake: (() => void) | undefined
  readonly #open: Set<Unpacker>

  /**
   * @param sink what it throws is thrown by `write` and `end`.
   * @param open has it until it is closed
   */
  constructor(stream: Gunzip | InflateRaw, sink: (octets: Buffer) => Promise<void>, open: Set<Unpacker>) {
    this.#stream = stream
    this.#open = open
    open.add(this)
    stream.on('data', (octets: Buffer) => {
      stream.pause()
      this.#taking = sink(octets).then(
        () => void stream.resume(),
        (error: unknown) => this.#fail(error as Error),
      )
    })
    stream.once('end', () => {
      this.isEnded = true
      this.#wake?.()
    })
    stream.on('error', (error) => this.#fail(error))
  }

  /** How many of the octets belong to it. @throws what zlib says about octets that are none of its own */
  async write(octets: Buffer): Promise<number> {
    if (this.#failure !== undefined) throw this.#failure
    if (this.isEnded) return 0
    const before = this.#stream.bytesWritten
    await this.#until((done) => this.#stream.write(octets, done))
    return this.#stream.bytesWritten - before
  }

  /** There are no more; resolves when all is taken. */
  async end(): Promise<void> {
    try {
      if (this.#failure !== undefined) throw this.#failure
      if (!this.isEnded) await this.#until(() => this.#stream.end())
    } finally {
      this.close()
    }
  }

  close(): void {
    this.#open.delete(this)
    this.#stream.destroy()
  }

  async #until(start: (done: () => void) => void): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      start(resolve)
    })
    this.#wake = undefined
    await this.#taking
    if (this.#failure !== undefined) throw this.#failure
  }

  #fail(error: Error): void {
    this.#failure ??= error
    this.#stream.destroy()
    this.#wake?.()
  }
}

/** zlib says that the octets are damaged. */
export function isOfZlib(error: unknown): boolean {
  return String((error as NodeJS.ErrnoException).code).startsWith('Z_')
}
