import { Readable } from 'node:stream'

import { chunkHeadBytes, decodeChunkHead, openChunk } from './chunk.ts'
import { readFully } from './file-io.ts'
import type { FrameHead } from './frame.ts'
import { SpoolKeyError } from './keyring.ts'
import type { Keyring } from './keyring.ts'
import type { ContentFile } from './record-reader.ts'
import { SpoolReadError } from './spool.ts'
import type { Locator, SpooledMessage, StoredMessage } from './spool.ts'

export interface ChunkedContent extends ContentFile {
  readonly head: FrameHead
  readonly keyring: Keyring
}

/** A large message whose content file is a sequence of chunks. */
export class ChunkedMessage implements SpooledMessage {
  readonly envelope: StoredMessage['envelope']
  readonly edits: StoredMessage['edits']
  readonly revision: string
  readonly locator: Locator
  readonly #content: ChunkedContent
  /** Where the chunks that were passed so far begin. */
  readonly #places: ChunkPlace[] = [{ start: 0, at: 0 }]

  constructor(stored: StoredMessage, locator: Locator, content: ChunkedContent) {
    this.envelope = stored.envelope
    this.edits = stored.edits
    this.revision = stored.revision
    this.locator = locator
    this.#content = content
  }

  async header(): Promise<Buffer> {
    return this.#collect(this.#content.head.headerBytes)
  }

  async content(): Promise<Buffer> {
    return this.#collect(this.#content.head.sizeBytes)
  }

  /** Each chunk is checked before it is handed out; one that is missing, changed or not the next destroys the stream. */
  stream(start = 0): Readable {
    return Readable.from(this.#chunks(start), { objectMode: false, highWaterMark: 128 * 1024 })
  }

  /** The first `bytes` octets. */
  async #collect(bytes: number): Promise<Buffer> {
    const pieces: Buffer[] = []
    let collected = 0
    for await (const piece of this.#chunks(0)) {
      if (collected >= bytes) break
      pieces.push(piece)
      collected += piece.length
    }
    return Buffer.concat(pieces).subarray(0, bytes)
  }

  async *#chunks(start: number): AsyncGenerator<Buffer> {
    const { sizeBytes } = this.#content.head
    let index = this.#places.findLastIndex((place) => place.start <= start)
    for (let offset = this.#places[index]?.start ?? 0; offset < sizeBytes; index += 1) {
      const { octets, end } = await this.#passOrRead(index, start)
      if (end > sizeBytes) throw await this.#damaged()
      if (octets !== undefined) yield start > offset ? octets.subarray(start - offset) : octets
      offset = end
    }
  }

  /** Reads a chunk, but for one that ends before `start`. */
  async #passOrRead(
    index: number,
    start: number,
  ): Promise<{ readonly octets: Buffer | undefined; readonly end: number }> {
    const { keyring, file, head } = this.#content
    const place = this.#places[index]
    if (place === undefined) throw await this.#damaged()
    const chunkHead = decodeChunkHead(await this.#read(place.at, chunkHeadBytes))
    if (chunkHead === undefined) throw await this.#damaged()
    const end = place.start + chunkHead.plainBytes
    const bytes = chunkHeadBytes + chunkHead.storedBytes
    this.#places[index + 1] ??= { start: end, at: place.at + bytes }
    if (end <= start) return { octets: undefined, end }
    const chunk = await this.#read(place.at, bytes)
    const mustBeEncrypted = head.wrap?.encrypted === true
    try {
      return { octets: await openChunk(keyring, chunk, { file, index, mustBeEncrypted }), end }
    } catch (error) {
      throw error instanceof SpoolKeyError ? error : await this.#damaged(error)
    }
  }

  async #read(at: number, bytes: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafeSlow(bytes)
    const count = await this.#content.withFile((fd) => readFully(fd, buffer, at))
    if (count < bytes) throw await this.#damaged()
    return buffer
  }

  async #damaged(cause?: unknown): Promise<SpoolReadError> {
    await this.#content.drop()
    return new SpoolReadError(`the content of ${this.envelope.id} is damaged`, cause === undefined ? {} : { cause })
  }
}

interface ChunkPlace {
  /** Octet of the content it begins with. */
  readonly start: number
  /** Octet of the file. */
  readonly at: number
}
