import { acceptedAtOf } from '../mail/message-id.ts'
import type { MessageId } from '../mail/message-id.ts'

/** Keys below 2^53 last until 2054. */
const firstAt = Date.UTC(2020, 0, 1)
const keysPerMs = 8192
/** Hours of UTC begin with a multiple of it. */
export const keysPerHour = keysPerMs * 3_600_000

/**
 * The number a message has in the store. Numbers sort by time, so that every index of the store gives what it finds newest
 * first, and an id leads to its number without an index: it is among those of the millisecond the id was made at.
 */
export function keyOf(id: MessageId, at: number = acceptedAtOf(id)): number {
  return firstKeyOf(at) + (Number.parseInt(id.slice(-4), 36) % keysPerMs)
}

/** None is beyond what a number can hold: it is a time without end, then. */
export function firstKeyOf(at: number): number {
  return Math.min(Number.MAX_SAFE_INTEGER, Math.max(0, Math.trunc(at) - firstAt) * keysPerMs)
}

/** The last number of the millisecond. */
export function lastKeyOf(at: number): number {
  return firstKeyOf(at) + keysPerMs - 1
}

/** Epoch ms. */
export function timeOf(key: number): number {
  return Math.floor(key / keysPerMs) + firstAt
}

/** The next number of the same millisecond: another message has this one. */
export function keyBeside(key: number): number {
  const first = key - (key % keysPerMs)
  return first + ((key - first + 1) % keysPerMs)
}
