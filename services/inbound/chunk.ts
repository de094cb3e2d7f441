import type { DataReceiver } from './input.ts'

/** What BDAT announces (RFC 3030 §2). */
export interface Chunk {
  readonly octets: number
  /** No chunk follows: the message is complete. */
  readonly last: boolean
}

/** The argument of BDAT; `undefined`: where the chunk would end cannot be known. */
export function parseChunk(argument: string): Chunk | undefined {
  const [, octets, last] = /^(\d{1,12})(?: +(LAST))?$/i.exec(argument) ?? []
  return octets === undefined ? undefined : { octets: Number(octets), last: last !== undefined }
}

/** Leads the octets of one chunk to the message they belong to, and not one more. */
export class ChunkReceiver implements DataReceiver {
  readonly #message: Pick<DataReceiver, 'take' | 'busy'> | undefined
  readonly #onEnd: (done: () => void) => void
  #left: number

  /** @param message absent: the chunk is refused, its octets are read and dropped, so that none is taken for a command */
  constructor(
    octets: number,
    message: Pick<DataReceiver, 'take' | 'busy'> | undefined,
    onEnd: (done: () => void) => void,
  ) {
    this.#left = octets
    this.#message = message
    this.#onEnd = onEnd
  }

  get busy(): Promise<void> | undefined {
    return this.#message?.busy
  }

  take(chunk: Buffer): number {
    const octets = Math.min(chunk.length, this.#left)
    this.#left -= octets
    this.#message?.take(octets === chunk.length ? chunk : chunk.subarray(0, octets))
    return this.#left === 0 ? octets : -1
  }

  finish(done: () => void): void {
    this.#onEnd(done)
  }
}
