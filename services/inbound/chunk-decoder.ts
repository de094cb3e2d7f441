import type { LineEndPolicy } from './data-decoder.ts'

const cr = 0x0d
const lf = 0x0a
const lineEnd = Buffer.from('\r\n')
const restOfLineEnd = Buffer.from('\n')
const nothing = Buffer.alloc(0)

/**
 * The counterpart of DataDecoder for chunks (RFC 3030): no dots, no end mark, but the same rule for line ends, since the message goes
 * on by DATA. Chunks may be cut anywhere.
 */
export class ChunkDecoder {
  content: Buffer = nothing
  bareLineEnds = false
  readonly #policy: LineEndPolicy
  /** The last octet so far; 0 when there is none. */
  #previous = 0
  #atLineStart = true

  constructor(policy: LineEndPolicy) {
    this.#policy = policy
  }

  feed(chunk: Buffer): number {
    const bare = this.#hasBareLineEnd(chunk)
    if (bare) this.bareLineEnds = true
    this.content = bare && this.#policy === 'normalise' ? this.#rewrite(chunk) : chunk
    if (chunk.length > 0) this.#follow(chunk)
    return -1
  }

  /** What is missing behind the last chunk: a last line without CR LF gets one, as signatures count it (RFC 6376 §3.4.3). */
  end(): Buffer {
    const cutOff = this.#previous === cr
    if (cutOff) this.bareLineEnds = true
    if (this.#atLineStart) return nothing
    return cutOff ? restOfLineEnd : lineEnd
  }

  #follow(chunk: Buffer): void {
    const last = chunk[chunk.length - 1] as number
    const before = chunk.length > 1 ? (chunk[chunk.length - 2] as number) : this.#previous
    // A bare LF has become a line end when it is rewritten, and refuses the message when not.
    this.#atLineStart = last === lf && (before === cr || this.#policy === 'normalise')
    this.#previous = last
  }

  #hasBareLineEnd(chunk: Buffer): boolean {
    let previous = this.#previous
    for (let index = 0; index < chunk.length; index += 1) {
      const octet = chunk[index] as number
      if ((octet === lf) !== (previous === cr)) return true
      previous = octet
    }
    return false
  }

  /** Each bare CR and bare LF as CR LF; a CR at the end of the chunk before is already written. */
  #rewrite(chunk: Buffer): Buffer {
    const output = Buffer.allocUnsafe(chunk.length * 2 + 1)
    let previous = this.#previous
    let written = 0
    for (let index = 0; index < chunk.length; index += 1) {
      const octet = chunk[index] as number
      if (previous === cr && octet !== lf) output[written++] = lf
      if (previous !== cr && octet === lf) output[written++] = cr
      output[written++] = octet
      previous = octet
    }
    return output.subarray(0, written)
  }
}
