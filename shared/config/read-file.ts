import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs'

const mebibyte = 1024 * 1024
/** A configuration of 100,000 rules has 10 MiB; nobody writes one of 64. */
const largestConfiguration = 64 * mebibyte
/** Ten million addresses. */
const largestTable = 512 * mebibyte
const chunkBytes = 65_536

/** @throws Error of the file system, or a clear one for what is too large to be a configuration */
export function readConfigurationFile(path: string): string {
  return readLimited(path, largestConfiguration)
}

/** @throws Error of the file system, or a clear one for what is too large to be a table */
export function readTableFile(path: string): string {
  return readLimited(path, largestTable)
}

function readLimited(path: string, maximumBytes: number): string {
  const file = openSync(path, 'r')
  try {
    const state = fstatSync(file)
    if (!state.isFile()) return readStream(file, path)
    if (state.size > maximumBytes) throw tooLarge(path, maximumBytes)
    return readFileSync(file, 'utf8')
  } finally {
    closeSync(file)
  }
}

/** A pipe (`-f <(program)`) or a device: what they hold cannot be asked, and /dev/zero never ends. */
function readStream(file: number, path: string): string {
  const chunks: Buffer[] = []
  let bytes = 0
  for (;;) {
    const chunk = Buffer.allocUnsafe(chunkBytes)
    const length = readSync(file, chunk)
    if (length === 0) return Buffer.concat(chunks).toString('utf8')
    chunks.push(chunk.subarray(0, length))
    bytes += length
    if (bytes > largestConfiguration) throw tooLarge(path, largestConfiguration)
  }
}

function tooLarge(path: string, maximumBytes: number): Error {
  return new Error(`${path} is larger than ${maximumBytes / mebibyte} MiB`)
}
