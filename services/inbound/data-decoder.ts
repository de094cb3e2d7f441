const cr = 0x0d
const lf = 0x0a
const dot = 0x2e

/** Where the decoder stands in the octets of DATA. */
const inLine = 0
const afterCr = 1
const atLineStart = 2
const afterDot = 3
const afterDotCr = 4

/** CR LF is the only line end (RFC 5321 §2.3.8). `strict` notes bare ones, `normalise` makes them CR LF. */
export type LineEndPolicy = 'strict' | 'normalise'

const nothing = Buffer.alloc(0)

/**
 * Takes the octets after DATA and gives the content: dots un-stuffed (RFC 5321 §4.5.2), the end found. Only CR LF . CR LF
 * ends it, whatever the policy, and only a CR LF starts a line whose dot is dropped. Linear, one slice a chunk; `strict`
 * moves octets inside the chunk it is given and allocates nothing.
 */
export class DataDecoder {
  /** Content of the last chunk; of no meaning once `bareLineEnds` is set under `strict`. */
  content: Buffer = nothing
  /** A CR without LF, or an LF without CR, was seen. */
  bareLineEnds = false
  readonly #policy: LineEndPolicy
  #state = atLineStart

  constructor(policy: LineEndPolicy) {
    this.#policy = policy
  }

  /** The offset behind the end of data, or -1 when the message goes on. Owns the octets of the chunk up to that offset. */
  feed(chunk: Buffer): number {
    if (this.#policy === 'normalise' && hasBareLineEnd(chunk, this.#state)) return this.#rewrite(chunk)
    return this.#compact(chunk)
  }

  #compact(chunk: Buffer): number {
    const length = chunk.length
    let state = this.#state
    let written = 0
    let kept = 0
    let index = 0
    while (index < length) {
      if (state === inLine) {
        while (index < length && (chunk[index] as number) > cr) index += 1
        if (index === length) break
      }
      const octet = chunk[index] as number
      index += 1
      switch (state) {
        case inLine:
          if (octet === cr) state = afterCr
          else if (octet === lf) this.bareLineEnds = true
          break
        case afterCr:
          if (octet === lf) state = atLineStart
          else {
            this.bareLineEnds = true
            if (octet !== cr) state = inLine
          }
          break
        case afterDotCr:
          if (octet === lf) {
            this.#state = atLineStart
            this.content = chunk.subarray(0, written)
            return index
          }
          this.bareLineEnds = true
          state = octet === cr ? afterCr : inLine
          kept = index - 1
          break
        default:
          if (octet === cr) {
            if (state === afterDot) {
              // Perhaps the end: nothing of this line is content yet.
              state = afterDotCr
              break
            }
            state = afterCr
          } else if (octet === dot && state === atLineStart) {
            written = move(chunk, kept, index - 1, written)
            kept = index
            state = afterDot
            break
          } else {
            if (octet === lf) this.bareLineEnds = true
            state = inLine
          }
      }
    }
    if (state !== afterDotCr) written = move(chunk, kept, length, written)
    this.#state = state
    this.content = chunk.subarray(0, written)
    return -1
  }

  /** The same with each bare CR and bare LF written as CR LF, into a buffer of its own. */
  #rewrite(chunk: Buffer): number {
    const output = Buffer.allocUnsafe(chunk.length * 2 + 2)
    let state = this.#state
    let written = 0
    let index = 0
    for (; index < chunk.length; index += 1) {
      const octet = chunk[index] as number
      if (octet === lf && state === afterDotCr) break
      if (octet === lf && state === afterCr) {
        output[written++] = lf
        state = atLineStart
        continue
      }
      if (state === afterCr || state === afterDotCr) {
        // The CR before this octet stands alone.
        this.bareLineEnds = true
        if (state === afterDotCr) output[written++] = cr
        output[written++] = lf
        state = inLine
      }
      if (octet === dot && state === atLineStart) state = afterDot
      else if (octet === cr && state === afterDot) state = afterDotCr
      else if (octet === cr) {
        output[written++] = cr
        state = afterCr
      } else if (octet === lf) {
        this.bareLineEnds = true
        output[written++] = cr
        output[written++] = lf
        state = inLine
      } else {
        output[written++] = octet
        state = inLine
      }
    }
    const ended = index < chunk.length
    this.#state = ended ? atLineStart : state
    this.content = output.subarray(0, written)
    return ended ? index + 1 : -1
  }
}

/** Moves chunk[from, to) to `at`; the offset behind it. */
function move(chunk: Buffer, from: number, to: number, at: number): number {
  if (from !== at) chunk.copyWithin(at, from, to)
  return at + (to - from)
}

function hasBareLineEnd(chunk: Buffer, state: number): boolean {
  let previous = state === afterCr || state === afterDotCr ? cr : 0
  for (let index = 0; index < chunk.length; index += 1) {
    const octet = chunk[index] as number
    if ((octet === lf) !== (previous === cr)) return true
    previous = octet
  }
  return false
}
