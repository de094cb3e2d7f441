import { readdir, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'

import type { Clock } from '../clock.ts'
import { SpoolFullError } from './spool.ts'

const freshMs = 1_000
/** Going through a large spool takes its time: it may take a twentieth of it. */
const restOfMeasuring = 20
const statsAtOnce = 64

export interface SpaceLimits {
  /** Octets of the disk that stay free. */
  readonly reserveBytes: number
  /** Octets that all files of the spool may have together; absent: as many as the disk has. */
  readonly quotaBytes?: number
}

export interface SpaceMeasure {
  usedBytes(): Promise<number>
  readonly freshMs: number
}

/**
 * Watches that the reserve stays free and the quota holds: asks the file system at most once a second and counts what is written in
 * between.
 */
export class FreeSpace {
  readonly #path: string
  readonly #limits: SpaceLimits
  readonly #clock: Clock
  readonly #usedBytes: () => Promise<number>
  readonly #freshMs: number
  #freeBytes = 0
  /** What was set aside and is not known to be on disk. */
  #outstanding = 0
  #askedAt = Number.NEGATIVE_INFINITY
  #tookMs = 0
  #asking: Promise<void> | undefined

  /** `measure`: what of the spool is used and how long that holds, when it does not lie in this folder. */
  constructor(path: string, limits: SpaceLimits, clock: Clock, measure?: SpaceMeasure) {
    this.#path = path
    this.#limits = limits
    this.#clock = clock
    this.#usedBytes = measure?.usedBytes ?? (() => spoolBytes(path))
    this.#freshMs = measure?.freshMs ?? freshMs
  }

  /** Octets that may be used before the reserve is touched and the quota reached. */
  async freeBytes(): Promise<number> {
    if (!this.#isFresh()) await this.#ask()
    return Math.max(0, this.#freeBytes)
  }

  /**
   * Sets octets aside until they are released; returns nothing when there is plenty. Never refuses without asking, unless that would take
   * too much of the time. @throws SpoolFullError
   */
  claim(bytes: number): void | Promise<void> {
    if (this.#isFresh() && this.#freeBytes >= bytes) return this.#take(bytes)
    if (this.#ageMs() < this.#tookMs * restOfMeasuring) return this.#take(bytes)
    return this.#ask().then(() => this.#take(bytes))
  }

  /** What was set aside is on disk, or will not be written. */
  release(bytes: number): void {
    this.#outstanding -= bytes
  }

  /** Ask the file system again before the next answer: a write failed, or something was deleted. */
  forget(): void {
    this.#askedAt = Number.NEGATIVE_INFINITY
  }

  #take(bytes: number): void {
    if (this.#freeBytes < bytes) {
      const { reserveBytes, quotaBytes } = this.#limits
      const quota = quotaBytes === undefined ? '' : `, within the quota of ${quotaBytes}`
      throw new SpoolFullError(
        `${Math.max(0, this.#freeBytes)} octets are free${quota}, ${reserveBytes} are kept in reserve`,
      )
    }
    this.#freeBytes -= bytes
    this.#outstanding += bytes
  }

  #isFresh(): boolean {
    return this.#ageMs() < Math.max(this.#freshMs, this.#tookMs * restOfMeasuring)
  }

  /** Without end when the clock was set back. */
  #ageMs(): number {
    const ageMs = this.#clock.now() - this.#askedAt
    return ageMs >= 0 ? ageMs : Number.POSITIVE_INFINITY
  }

  #ask(): Promise<void> {
    this.#asking ??= this.#measure().finally(() => {
      this.#asking = undefined
    })
    return this.#asking
  }

  async #measure(): Promise<void> {
    const { reserveBytes, quotaBytes } = this.#limits
    const at = this.#clock.now()
    const used = quotaBytes === undefined ? 0 : await this.#usedBytes()
    const volume = await statfs(this.#path)
    const onDisk = volume.bavail * volume.bsize - reserveBytes
    // What is being written may be counted twice: rather a little early than beyond the quota.
    const ofQuota = quotaBytes === undefined ? onDisk : quotaBytes - used - this.#outstanding
    this.#freeBytes = Math.min(onDisk, ofQuota)
    this.#tookMs = Math.max(0, this.#clock.now() - at)
    this.#askedAt = at
  }
}

/** Octets of all files in the spool: they lie in its folders, never deeper. */
async function spoolBytes(path: string): Promise<number> {
  const folders = await readdir(path)
  const files = (await Promise.all(folders.map((folder) => filesIn(join(path, folder))))).flat()
  let bytes = 0
  for (let start = 0; start < files.length; start += statsAtOnce) {
    const sizes = await Promise.all(files.slice(start, start + statsAtOnce).map(sizeOf))
    for (const size of sizes) bytes += size
  }
  return bytes
}

/** None when the folder is gone, or none. */
async function filesIn(folder: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).map((file) => join(folder, file))
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR')) return []
    throw error
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return 0
    throw error
  }
}

/** True when the disk or the quota is full. */
export function isFull(error: unknown): boolean {
  return hasCode(error, 'ENOSPC') || hasCode(error, 'EDQUOT')
}

export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
