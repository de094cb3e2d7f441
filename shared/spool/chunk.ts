import { crc32 } from 'node:zlib'

import { compress, decompress } from './compression.ts'
import type { Keyring } from './keyring.ts'
import type { AtRest } from './record-wrap.ts'
import { seal, sealBytes, unseal } from './sealing.ts'

/**
 * The content of a large message in pieces, each compressed and encrypted by itself: written while the content comes in, read from any
 * place. A piece is bound to its file and its number; how many there are follows from the size in the message's record.
 * Before each stands a head (little endian): flags, octets of content, octets that follow, seal, checksum.
 */
export const chunkBytes = 128 * 1024
export const chunkHeadBytes = 12 + sealBytes + 4

export interface ChunkHead {
  readonly compressed: boolean
  readonly encrypted: boolean
  /** Octets of content in it. */
  readonly plainBytes: number
  /** Octets behind the head. */
  readonly storedBytes: number
}

/** Makes chunks of content that comes in pieces. */
export class ChunkWriter {
  readonly #atRest: AtRest
  readonly #file: string
  #pieces: Buffer[] = []
  #bytes = 0
  #index = 0

  /** `file` is the path below the spool folder. */
  constructor(atRest: AtRest, file: string) {
    this.#atRest = atRest
    this.#file = file
  }

  /** The buffers to write now; what does not fill a chunk waits. */
  async take(pieces: readonly Buffer[]): Promise<readonly Buffer[]> {
    const written: Buffer[] = []
    for (const piece of pieces) {
      let rest = piece
      while (this.#bytes + rest.length >= chunkBytes) {
        const part = rest.subarray(0, chunkBytes - this.#bytes)
        rest = rest.subarray(part.length)
        this.#pieces.push(part)
        written.push(...(await this.#close()))
      }
      if (rest.length === 0) continue
      this.#pieces.push(rest)
      this.#bytes += rest.length
    }
    return written
  }

  /** What is left. */
  async end(): Promise<readonly Buffer[]> {
    return this.#pieces.length === 0 ? [] : this.#close()
  }

  async #close(): Promise<readonly Buffer[]> {
    const content = Buffer.concat(this.#pieces)
    this.#pieces = []
    this.#bytes = 0
    const index = this.#index
    this.#index += 1
    const packed = this.#atRest.compresses ? await compress(content) : undefined
    const payload = packed ?? content
    const { key } = this.#atRest
    const head = Buffer.alloc(chunkHeadBytes)
    head[0] = (packed === undefined ? 0 : compressedFlag) | (key === undefined ? 0 : encryptedFlag)
    head.writeUInt32LE(content.length, 4)
    head.writeUInt32LE(payload.length, 8)
    const bound = boundTo(head, index)
    const file = this.#file
    const stored = key === undefined ? [payload] : seal(key, { seal: sealOf(head), octets: [payload], file, bound })
    const crc = stored.reduce((sum, piece) => crc32(piece, sum), headCrc(head, file, index))
    head.writeUInt32LE(crc, crcAt)
    return [head, ...stored]
  }
}

/** `undefined` when the octets are no head of a chunk. What it says is checked with the chunk. */
export function decodeChunkHead(head: Buffer): ChunkHead | undefined {
  if (head.length < chunkHeadBytes) return undefined
  const flags = head[0] ?? 0
  const plainBytes = head.readUInt32LE(4)
  const storedBytes = head.readUInt32LE(8)
  if (flags > 3 || plainBytes === 0 || plainBytes > chunkBytes || storedBytes > chunkBytes) return undefined
  return {
    compressed: (flags & compressedFlag) !== 0,
    encrypted: (flags & encryptedFlag) !== 0,
    plainBytes,
    storedBytes,
  }
}

/**
 * The content of a chunk. `mustBeEncrypted`: its message's record is.
 * @throws SpoolKeyError when its key is not in the ring; Error when it was changed, or belongs elsewhere
 */
export async function openChunk(
  keyring: Keyring,
  chunk: Buffer,
  place: { readonly file: string; readonly index: number; readonly mustBeEncrypted: boolean },
): Promise<Buffer> {
  const { file, index, mustBeEncrypted } = place
  const head = decodeChunkHead(chunk)
  const bytes = chunk.subarray(0, chunkHeadBytes)
  const octets = chunk.subarray(chunkHeadBytes)
  if (head === undefined || octets.length !== head.storedBytes || (mustBeEncrypted && !head.encrypted)) {
    throw new RangeError(`no chunk ${index} of ${file}`)
  }
  if (crc32(octets, headCrc(bytes, file, index)) !== bytes.readUInt32LE(crcAt)) {
    throw new RangeError(`chunk ${index} of ${file} is damaged`)
  }
  const bound = boundTo(bytes, index)
  const payload = head.encrypted ? unseal(keyring, { seal: sealOf(bytes), octets, file, bound }) : octets
  return head.compressed ? decompress(payload, head.plainBytes) : payload
}

const compressedFlag = 1
const encryptedFlag = 2
const crcAt = 12 + sealBytes

function headCrc(head: Buffer, file: string, index: number): number {
  return crc32(head.subarray(0, crcAt), crc32(`${file} ${index}`))
}

function boundTo(head: Buffer, index: number): readonly Buffer[] {
  const number = Buffer.alloc(4)
  number.writeUInt32LE(index)
  return [head.subarray(0, 12), number]
}

function sealOf(head: Buffer): Buffer {
  return head.subarray(12, 12 + sealBytes)
}
