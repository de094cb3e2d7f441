import { brotliCompress, brotliCompressSync, brotliDecompress, brotliDecompressSync, constants } from 'node:zlib'
import type { BrotliOptions } from 'node:zlib'

/**
 * Compresses at the speed of the disk: Brotli's fastest level takes a fifth of deflate's time for attachments and the same for short text
 * (docs/decisions/0007). What takes noticeable time runs in the thread pool. `undefined` when nothing is gained.
 */
export function compress(octets: Buffer): Buffer | undefined | Promise<Buffer | undefined> {
  const options: BrotliOptions = {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MIN_QUALITY + 1,
      [constants.BROTLI_PARAM_LGWIN]: windowBits,
      [constants.BROTLI_PARAM_SIZE_HINT]: octets.length,
    },
  }
  if (octets.length <= atOnceBytes) return smaller(brotliCompressSync(octets, options), octets)
  return new Promise((resolve, reject) => {
    brotliCompress(octets, options, (error, packed) =>
      error === null ? resolve(smaller(packed, octets)) : reject(error),
    )
  })
}

/** The octets again. Rejects, or throws, when they are not `sizeBytes` or no compressed octets at all. */
export function decompress(packed: Buffer, sizeBytes: number): Buffer | Promise<Buffer> {
  const options: BrotliOptions = { maxOutputLength: Math.max(1, sizeBytes), chunkSize: chunkSizeFor(sizeBytes) }
  if (sizeBytes <= atOnceBytes) return sized(brotliDecompressSync(packed, options), sizeBytes)
  return new Promise((resolve, reject) => {
    brotliDecompress(packed, options, (error, octets) => {
      if (error !== null) reject(error)
      else if (octets.length === sizeBytes) resolve(octets)
      else reject(new RangeError(wrongSize(octets.length, sizeBytes)))
    })
  })
}

/** Up to here it takes less than a trip to the thread pool is worth. */
const atOnceBytes = 16 * 1024
const windowBits = 18

function smaller(packed: Buffer, octets: Buffer): Buffer | undefined {
  return packed.length < octets.length ? packed : undefined
}

/** In one piece, when it is not too large. */
function chunkSizeFor(sizeBytes: number): number {
  return Math.min(Math.max(sizeBytes, 1024), 256 * 1024)
}

function sized(octets: Buffer, sizeBytes: number): Buffer {
  if (octets.length !== sizeBytes) throw new RangeError(wrongSize(octets.length, sizeBytes))
  return octets
}

function wrongSize(bytes: number, expected: number): string {
  return `${bytes} octets instead of ${expected}`
}
