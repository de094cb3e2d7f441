import * as fs from 'node:fs'

/**
 * The few file operations of the hot path, on bare descriptors: promises of `node:fs/promises` cost more than the write.
 */

export function openFile(path: string, flags: string | number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.open(path, flags, 0o640, (error, fd) => (error === null ? resolve(fd) : reject(error)))
  })
}

export function closeFile(fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fs.close(fd, (error) => (error === null || error === undefined ? resolve() : reject(error)))
  })
}

export function syncFile(fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fs.fdatasync(fd, (error) => (error === null ? resolve() : reject(error)))
  })
}

export function truncateFile(fd: number, bytes: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fs.ftruncate(fd, bytes, (error) => (error === null ? resolve() : reject(error)))
  })
}

export function fileSize(fd: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.fstat(fd, (error, stats) => (error === null ? resolve(stats.size) : reject(error)))
  })
}

/** `undefined` when there is no such file. */
export function fileSizeAt(path: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    fs.stat(path, (error, stats) => {
      if (error === null) resolve(stats.size)
      else if (error.code === 'ENOENT') resolve(undefined)
      else reject(error)
    })
  })
}

/** Runs `use` with the open file; `undefined` when there is no such file. */
export async function withFile<T>(path: string, use: (fd: number) => Promise<T>): Promise<T | undefined> {
  const fd = await openFile(path, 'r').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  })
  if (fd === undefined) return undefined
  try {
    return await use(fd)
  } finally {
    await closeFile(fd)
  }
}

/** False when the file was deleted while it was open. */
export function hasName(fd: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    fs.fstat(fd, (error, stats) => (error === null ? resolve(stats.nlink > 0) : reject(error)))
  })
}

/** Fills `into` from `position` on; fewer octets only at the end of the file. */
export async function readFully(fd: number, into: Buffer, position: number): Promise<number> {
  let total = 0
  while (total < into.length) {
    const count = await readOnce(fd, into, total, position + total)
    if (count === 0) break
    total += count
  }
  return total
}

export interface WriteResult {
  readonly bytes: number
  /** What stopped it before all was written. */
  readonly error?: unknown
}

/** Writes the buffers one behind the other without joining them; says how far it came instead of throwing. */
export async function writeFully(fd: number, buffers: readonly Buffer[], position: number): Promise<WriteResult> {
  let rest = buffers
  let bytes = 0
  while (rest.length > 0) {
    try {
      const count = await writeOnce(fd, rest, position + bytes)
      bytes += count
      rest = behind(rest, count)
    } catch (error) {
      return { bytes, error }
    }
  }
  return { bytes }
}

function readOnce(fd: number, into: Buffer, offset: number, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.read(fd, into, offset, into.length - offset, position, (error, count) =>
      error === null ? resolve(count) : reject(error),
    )
  })
}

function writeOnce(fd: number, buffers: readonly Buffer[], position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.writev(fd, buffers, position, (error, count) => (error === null ? resolve(count) : reject(error)))
  })
}

/** The buffers without their first `count` octets, empty ones dropped. */
function behind(buffers: readonly Buffer[], count: number): readonly Buffer[] {
  let skipped = count
  for (const [index, buffer] of buffers.entries()) {
    if (buffer.length > skipped) return [buffer.subarray(skipped), ...buffers.slice(index + 1)]
    skipped -= buffer.length
  }
  return []
}
