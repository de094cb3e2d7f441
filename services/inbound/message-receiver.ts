import { TableError } from '../../shared/config/external-table.ts'
import { SmtpError, replies } from '../../shared/mail/reply.ts'
import type { Reply } from '../../shared/mail/reply.ts'
import { SpoolFullError } from '../../shared/spool/spool.ts'
import type { IncomingContent } from '../../shared/spool/spool.ts'
import { ChunkDecoder } from './chunk-decoder.ts'
import { DataDecoder } from './data-decoder.ts'
import type { LineEndPolicy } from './data-decoder.ts'
import { HeaderLineEnds } from './header-line-ends.ts'
import { HeaderWatch } from './header-watch.ts'
import type { HeaderFacts } from './header-watch.ts'
import type { DataReceiver } from './input.ts'
import type { SessionLimits } from './limits.ts'

export interface MessageReceiverOptions {
  readonly content: Pick<IncomingContent, 'write' | 'abort'>
  readonly policy: LineEndPolicy
  readonly maxBytes: number
  /** It comes by BDAT. */
  readonly chunked?: boolean
  readonly limits: SessionLimits
  /** Monotonic ms. */
  readonly now: () => number
  readonly onEnd: (done: () => void) => void
  /** The client goes on sending far beyond the limit. */
  readonly onFlood: () => void
}

export const bareLineEnd: Reply = {
  code: 550,
  enhanced: '5.6.0',
  text: 'Message refused: a line end that is not CR LF (RFC 5321 section 2.3.8)',
}

const headerTooLong: Reply = { code: 552, enhanced: '5.3.4', text: 'Message header size exceeds the limit' }

/** One message on its way from the socket to the spool. What is wrong with it is told at its end; until then it is read and dropped. */
export class MessageReceiver implements DataReceiver {
  busy: Promise<void> | undefined
  /** The reply that refuses the message, as soon as it is known. */
  fault: Reply | undefined
  sizeBytes = 0
  readonly beganAt: number
  readonly #options: MessageReceiverOptions
  readonly #decoder: DataDecoder | ChunkDecoder
  readonly #watch: HeaderWatch
  readonly #lineEnds: HeaderLineEnds | undefined
  #lastOctetsAt: number
  #endedAt: number | undefined

  constructor(options: MessageReceiverOptions) {
    this.#options = options
    this.#decoder = options.chunked === true ? new ChunkDecoder(options.policy) : new DataDecoder(options.policy)
    this.#watch = new HeaderWatch(options.limits.headerBytes)
    this.#lineEnds = options.policy === 'normalise' ? new HeaderLineEnds() : undefined
    this.beganAt = options.now()
    this.#lastOctetsAt = this.beganAt
  }

  take(chunk: Buffer): number {
    this.busy = undefined
    this.#lastOctetsAt = this.#options.now()
    this.#lineEnds?.feed(chunk)
    const end = this.#decoder.feed(chunk)
    const { content } = this.#decoder
    this.sizeBytes += content.length
    if (this.fault === undefined) this.#keep(content)
    else if (isFlood(this.sizeBytes, this.#options.maxBytes)) this.#options.onFlood()
    return end
  }

  /** The message comes in chunks: commands may stand between them. */
  get chunked(): boolean {
    return this.#options.chunked === true
  }

  /** The last chunk is in. */
  complete(): void {
    if (!(this.#decoder instanceof ChunkDecoder)) return
    const missing = this.#decoder.end()
    this.sizeBytes += missing.length
    if (this.fault === undefined) this.#keep(missing)
  }

  finish(done: () => void): void {
    this.#endedAt = this.#options.now()
    this.#options.onEnd(done)
  }

  facts(): HeaderFacts {
    return this.#watch.facts()
  }

  /** The header section. */
  section(): Buffer {
    return this.#watch.section()
  }

  /** All of it has come: the client waits for us. */
  get isComplete(): boolean {
    return this.#endedAt !== undefined
  }

  /** The client sends too slowly, or nothing; or it has waited for our reply for too long. */
  isStalled(now: number): boolean {
    if (this.#endedAt !== undefined) return now - this.#endedAt > this.#options.limits.handlerMs
    const { dataIdleMs, dataGraceMs, dataOctetsPerSecond, dataMs } = this.#options.limits
    const tookMs = now - this.beganAt
    if (now - this.#lastOctetsAt > dataIdleMs || tookMs > dataMs) return true
    return tookMs > dataGraceMs && (this.sizeBytes * 1000) / tookMs < dataOctetsPerSecond
  }

  /** Drops the message; what is still coming is read and forgotten. */
  refuse(fault: Reply): void {
    if (this.fault !== undefined) return
    this.fault = fault
    void this.#options.content.abort().catch(() => undefined)
  }

  #keep(content: Buffer): void {
    const { policy, maxBytes } = this.#options
    if (this.sizeBytes > maxBytes) return this.refuse(replies.messageTooBig)
    if (policy === 'strict' ? this.#decoder.bareLineEnds : this.#lineEnds?.mixed === true)
      return this.refuse(bareLineEnd)
    this.#watch.feed(content)
    if (this.#watch.tooLong) return this.refuse(headerTooLong)
    if (content.length > 0) this.#write(content)
  }

  #write(content: Buffer): void {
    try {
      const written = this.#options.content.write(content)
      if (written !== undefined) this.busy = written.catch((error: unknown) => this.refuse(replyTo(error)))
    } catch (error) {
      this.refuse(replyTo(error))
    }
  }
}

/** So much more than a message may have that it is not even read. */
export function isFlood(octets: number, maxBytes: number): boolean {
  return octets > maxBytes * 2 + 1_048_576
}

/** An operator has to look at it (RFC 3463 §3.4), and the client may come again. */
const lookupFailed: Reply = { code: 451, enhanced: '4.3.5', text: 'Temporary lookup failure, please try again later' }

/** What to answer when the spool, a table or the pipeline failed. */
export function replyTo(error: unknown): Reply {
  if (error instanceof SpoolFullError) return replies.insufficientStorage
  if (error instanceof TableError) return lookupFailed
  return error instanceof SmtpError ? error.reply : replies.tryLater
}
