import { statfs } from 'node:fs/promises'

import type { Clock } from '../clock.ts'
import { SpoolFullError } from './spool.ts'

const freshMs = 1_000

/** Watches that `reserveBytes` stay free: asks the file system at most once a second and counts what is written in between. */
export class FreeSpace {
  readonly #path: string
  readonly #reserveBytes: number
  readonly #clock: Clock
  #freeBytes = 0
  #askedAt = Number.NEGATIVE_INFINITY
  #asking: Promise<void> | undefined

  constructor(path: string, reserveBytes: number, clock: Clock) {
    this.#path = path
    this.#reserveBytes = reserveBytes
    this.#clock = clock
  }

  /** Octets that may be used before the reserve is touched. */
  async freeBytes(): Promise<number> {
    if (!this.#isFresh()) await this.#ask()
    return Math.max(0, this.#freeBytes - this.#reserveBytes)
  }

  /** Sets octets aside; returns nothing when there is plenty. Never refuses without asking. @throws SpoolFullError */
  claim(bytes: number): void | Promise<void> {
    if (!this.#isFresh() || this.#freeBytes - bytes < this.#reserveBytes) {
      return this.#ask().then(() => this.#take(bytes))
    }
    this.#take(bytes)
  }

  /** Ask the file system again before the next answer: a write just failed. */
  forget(): void {
    this.#askedAt = Number.NEGATIVE_INFINITY
  }

  #take(bytes: number): void {
    if (this.#freeBytes - bytes < this.#reserveBytes) {
      throw new SpoolFullError(`${this.#freeBytes} octets are free, ${this.#reserveBytes} are kept in reserve`)
    }
    this.#freeBytes -= bytes
  }

  #isFresh(): boolean {
    const age = this.#clock.now() - this.#askedAt
    return age >= 0 && age < freshMs
  }

  #ask(): Promise<void> {
    this.#asking ??= this.#measure().finally(() => {
      this.#asking = undefined
    })
    return this.#asking
  }

  async #measure(): Promise<void> {
    const at = this.#clock.now()
    const volume = await statfs(this.#path)
    this.#freeBytes = volume.bavail * volume.bsize
    this.#askedAt = at
  }
}

/** True when the disk or the quota is full. */
export function isFull(error: unknown): boolean {
  return hasCode(error, 'ENOSPC') || hasCode(error, 'EDQUOT')
}

export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
