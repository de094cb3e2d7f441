import type { MessageId } from '../mail/message-id.ts'
import { packId, unpackId } from './packed-id.ts'

/**
 * Gives each message id a slot number from 0 on, in about 30 octets an id and outside the garbage collector's sight. Slots
 * of removed ids are used again. Open addressing with linear probing.
 */
export class IdTable {
  #a = new Uint32Array(initialSlots)
  #b = new Uint32Array(initialSlots)
  #c = new Uint32Array(initialSlots)
  /** Slot + 1; 0 is empty. */
  #buckets = new Uint32Array(initialSlots * 2)
  #free: number[] = []
  #slots = 0
  #size = 0

  /** Ids in the table. */
  get size(): number {
    return this.#size
  }

  /** Slots ever given: columns beside this table need that many places. */
  get slots(): number {
    return this.#slots
  }

  find(id: MessageId): number | undefined {
    const { a, b, c } = packId(id)
    const slot = this.#buckets[this.#bucketOf(a, b, c)] ?? 0
    return slot === 0 ? undefined : slot - 1
  }

  /** The slot of an id, a new one when it has none. */
  add(id: MessageId): number {
    const { a, b, c } = packId(id)
    const bucket = this.#bucketOf(a, b, c)
    const known = this.#buckets[bucket] ?? 0
    if (known !== 0) return known - 1
    const slot = this.#free.pop() ?? this.#newSlot()
    this.#a[slot] = a
    this.#b[slot] = b
    this.#c[slot] = c
    this.#buckets[bucket] = slot + 1
    this.#size += 1
    if (this.#size * 2 > this.#buckets.length) this.#rehash(this.#buckets.length * 2)
    return slot
  }

  delete(id: MessageId): void {
    const { a, b, c } = packId(id)
    const bucket = this.#bucketOf(a, b, c)
    const known = this.#buckets[bucket] ?? 0
    if (known === 0) return
    this.#free.push(known - 1)
    this.#size -= 1
    this.#close(bucket)
  }

  /** The id of a slot that is in use. */
  idOf(slot: number): MessageId {
    return unpackId({ a: this.#a[slot] ?? 0, b: this.#b[slot] ?? 0, c: this.#c[slot] ?? 0 })
  }

  /** Moves the ids that follow a removed one, so that none is cut off from its bucket. */
  #close(removed: number): void {
    const mask = this.#buckets.length - 1
    let hole = removed
    for (let next = (hole + 1) & mask; this.#buckets[next] !== 0; next = (next + 1) & mask) {
      const home = this.#homeOf((this.#buckets[next] ?? 0) - 1)
      if (((next - home) & mask) < ((next - hole) & mask)) continue
      this.#buckets[hole] = this.#buckets[next] ?? 0
      hole = next
    }
    this.#buckets[hole] = 0
  }

  #bucketOf(a: number, b: number, c: number): number {
    const mask = this.#buckets.length - 1
    let bucket = hash(a, b, c) & mask
    for (;;) {
      const known = this.#buckets[bucket] ?? 0
      if (known === 0) return bucket
      const slot = known - 1
      if (this.#c[slot] === c && this.#b[slot] === b && this.#a[slot] === a) return bucket
      bucket = (bucket + 1) & mask
    }
  }

  #homeOf(slot: number): number {
    return hash(this.#a[slot] ?? 0, this.#b[slot] ?? 0, this.#c[slot] ?? 0) & (this.#buckets.length - 1)
  }

  #newSlot(): number {
    const slot = this.#slots
    this.#slots += 1
    if (slot === this.#a.length) {
      this.#a = grown(this.#a)
      this.#b = grown(this.#b)
      this.#c = grown(this.#c)
    }
    return slot
  }

  #rehash(length: number): void {
    const old = this.#buckets
    this.#buckets = new Uint32Array(length)
    const mask = length - 1
    for (const known of old) {
      if (known === 0) continue
      let bucket = this.#homeOf(known - 1)
      while (this.#buckets[bucket] !== 0) bucket = (bucket + 1) & mask
      this.#buckets[bucket] = known
    }
  }
}

const initialSlots = 1024

function grown(column: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(column.length * 2)
  larger.set(column)
  return larger
}

function hash(a: number, b: number, c: number): number {
  let mixed = Math.imul(a ^ Math.imul(b, 0x9e3779b1), 0x85ebca6b) ^ Math.imul(c, 0xc2b2ae35)
  mixed ^= mixed >>> 15
  mixed = Math.imul(mixed, 0x2c1b3c6d)
  return (mixed ^ (mixed >>> 13)) >>> 0
}
