import { createHash } from 'node:crypto'
import type { Hash } from 'node:crypto'

import type { Canonicalization } from './canonical-header.ts'

export type HashAlgorithm = 'sha256' | 'sha1'

/**
 * Hash of a message body in canonical form (RFC 6376 §3.4.3, §3.4.4), fed in chunks cut anywhere. One pass, linear,
 * memory of one chunk.
 */
export interface BodyHash {
  update(chunk: Uint8Array): void
  /** Ends the body; call it once. */
  digest(): BodyDigest
}

export interface BodyDigest {
  readonly base64: string
  /** Octets of the canonical body; with l= they may be more than were hashed. */
  readonly octets: number
}

/** @param limit l=: only so many octets of the canonical body are hashed (RFC 6376 §3.5). */
export function bodyHash(canonicalization: Canonicalization, algorithm: HashAlgorithm, limit?: number): BodyHash {
  const sink = new LimitedHash(createHash(algorithm), limit ?? Number.POSITIVE_INFINITY)
  return canonicalization === 'simple' ? new SimpleBody(sink) : new RelaxedBody(sink)
}

const CR = 0x0d
const LF = 0x0a
const SPACE = 0x20
const TAB = 0x09
const lineEnds = Buffer.from('\r\n'.repeat(2048))

class LimitedHash {
  readonly #hash: Hash
  readonly #limit: number
  #octets = 0

  constructor(hash: Hash, limit: number) {
    this.#hash = hash
    this.#limit = limit
  }

  add(octets: Uint8Array): void {
    const room = this.#limit - this.#octets
    this.#octets += octets.length
    if (room >= octets.length) this.#hash.update(octets)
    else if (room > 0) this.#hash.update(octets.subarray(0, room))
  }

  addLineEnds(count: number): void {
    for (let left = count; left > 0; left -= 2048) this.add(lineEnds.subarray(0, 2 * Math.min(left, 2048)))
  }

  get octets(): number {
    return this.#octets
  }

  digest(): BodyDigest {
    return { base64: this.#hash.digest('base64'), octets: this.#octets }
  }
}

/** Line ends are held back until something follows: those at the end of the body become one. */
class SimpleBody implements BodyHash {
  readonly #sink: LimitedHash
  #heldLineEnds = 0
  #heldReturn = false

  constructor(sink: LimitedHash) {
    this.#sink = sink
  }

  update(chunk: Uint8Array): void {
    let start = 0
    let end = chunk.length
    if (end === 0) return
    if (this.#heldReturn) {
      this.#heldReturn = false
      if (chunk[0] === LF) {
        this.#heldLineEnds += 1
        start = 1
      } else {
        this.#release()
        this.#sink.add(lineEnds.subarray(0, 1))
      }
    }
    if (end > start && chunk[end - 1] === CR) {
      this.#heldReturn = true
      end -= 1
    }
    let lineEndsAtEnd = 0
    while (end - 2 >= start && chunk[end - 1] === LF && chunk[end - 2] === CR) {
      lineEndsAtEnd += 1
      end -= 2
    }
    if (end > start) {
      this.#release()
      this.#sink.add(chunk.subarray(start, end))
    }
    this.#heldLineEnds += lineEndsAtEnd
  }

  digest(): BodyDigest {
    if (this.#heldReturn) {
      this.#release()
      this.#sink.add(lineEnds.subarray(0, 1))
    }
    this.#sink.addLineEnds(1)
    return this.#sink.digest()
  }

  #release(): void {
    this.#sink.addLineEnds(this.#heldLineEnds)
    this.#heldLineEnds = 0
  }
}

/** Blanks and line ends are held back: blanks at the end of a line vanish, others become one; empty lines at the end vanish. */
class RelaxedBody implements BodyHash {
  readonly #sink: LimitedHash
  #heldLineEnds = 0
  #heldBlank = false
  #heldReturn = false
  #out = Buffer.allocUnsafe(0)
  #used = 0

  constructor(sink: LimitedHash) {
    this.#sink = sink
  }

  update(chunk: Uint8Array): void {
    if (this.#out.length < chunk.length + heldRoom) this.#out = Buffer.allocUnsafeSlow(chunk.length + heldRoom)
    const length = chunk.length
    let index = 0
    while (index < length) {
      const octet = chunk[index] as number
      if (octet === CR && !this.#heldReturn) this.#heldReturn = true
      else if (octet === LF && this.#heldReturn) this.#endLine()
      else if ((octet === SPACE || octet === TAB) && !this.#heldReturn) this.#heldBlank = true
      else if (octet === SPACE || octet === TAB || octet === CR) this.#bareReturn(octet)
      else {
        this.#release()
        index = this.#copy(chunk, index)
        continue
      }
      index += 1
    }
    this.#flush()
  }

  digest(): BodyDigest {
    if (this.#out.length < heldRoom) this.#out = Buffer.allocUnsafeSlow(heldRoom)
    if (this.#heldReturn) this.#release()
    this.#flush()
    if (this.#sink.octets > 0) this.#sink.addLineEnds(1)
    return this.#sink.digest()
  }

  /** Takes over what is canonical as it stands, from `index` up to the next blank or line end that may have to go. */
  #copy(chunk: Uint8Array, index: number): number {
    const end = canonicalUpTo(chunk, index)
    const span = chunk.subarray(index, end)
    if (span.length >= directBytes) {
      this.#flush()
      this.#sink.add(span)
    } else {
      this.#out.set(span, this.#used)
      this.#used += span.length
    }
    return end
  }

  #endLine(): void {
    this.#heldReturn = false
    this.#heldBlank = false
    this.#heldLineEnds += 1
  }

  /** A CR that ends no line is an octet like others. */
  #bareReturn(next: number): void {
    this.#release()
    if (next === CR) this.#heldReturn = true
    else this.#heldBlank = true
  }

  #release(): void {
    if (this.#heldLineEnds > maxHeldInOut) {
      this.#flush()
      this.#sink.addLineEnds(this.#heldLineEnds)
    } else {
      for (let count = this.#heldLineEnds; count > 0; count -= 1) {
        this.#put(CR)
        this.#put(LF)
      }
    }
    this.#heldLineEnds = 0
    if (this.#heldBlank) this.#put(SPACE)
    this.#heldBlank = false
    if (this.#heldReturn) this.#put(CR)
    this.#heldReturn = false
  }

  #put(octet: number): void {
    this.#out[this.#used] = octet
    this.#used += 1
  }

  #flush(): void {
    if (this.#used > 0) this.#sink.add(this.#out.subarray(0, this.#used))
    this.#used = 0
  }
}

/** One space between two words and one line end between two lines stay; anything else of blanks and line ends is for the slow way. */
function canonicalUpTo(chunk: Uint8Array, start: number): number {
  const { length } = chunk
  let at = start
  for (; at < length; at += 1) {
    const octet = chunk[at] as number
    if (octet > SPACE) continue
    if (octet === SPACE) {
      if (at + 1 < length && (chunk[at + 1] as number) > SPACE) continue
      break
    }
    if (octet === TAB) break
    if (octet === CR) {
      if (at + 2 < length && chunk[at + 1] === LF && (chunk[at + 2] as number) > SPACE) at += 1
      else break
    }
  }
  return at
}

/** Longer spans go to the hash without being copied. */
const directBytes = 1_024
const maxHeldInOut = 64
/** Octets that may be held from earlier chunks and go into `out` with the next. */
const heldRoom = 2 * maxHeldInOut + 2
