import { SMTPStream } from 'smtp-server/lib/smtp-stream.js'

/** Takes the octets of one message. */
export interface DataReceiver {
  /** The offset behind the end of data, or -1 when the message goes on. Owns the octets up to there. */
  take(chunk: Buffer): number
  /** Set by `take`: wait for it before the next octets. */
  readonly busy: Promise<void> | undefined
  /** The end of data was reached; the next command is read after `done`. */
  finish(done: () => void): void
}

/** What a session does with its input. */
export interface InputHandler {
  /** A command line without its CR LF. The next one is read after `done`. */
  takeLine(line: string, done: () => void): void
  /** A line that is not one: it ended in a bare LF, or was longer than the limit. The next one is read after `done`. */
  refuseLine(fault: 'bare line feed' | 'too long', begin: string, done: () => void): void
  /** The client sends no line end at all. */
  giveUp(): void
  /** The client has said all it will, and all of it is answered but what was cut off in the middle. */
  ended(): void
}

/** RFC 4954 §4 asks for 12,288 octets of base64 behind AUTH. */
export const maxLineOctets = 12_288 + 32
/** A longer line ends the session instead of being skipped. */
const maxSkippedOctets = 65_536
/** Commands handled before other sessions get their turn. */
const commandsPerTurn = 100

/**
 * The input of a session, in place of smtp-server's parser: command lines end in CR LF and nothing else (RFC 5321 §2.3.8),
 * message content goes through without copies and at linear cost, and nothing is read while an answer is being worked out.
 */
export class SessionInput extends SMTPStream {
  /** Monotonic ms at which the unfinished line began; 0 when there is none. */
  lineBeganAt = 0
  readonly #handler: InputHandler
  readonly #now: () => number
  readonly #takesBareLineFeeds: boolean
  #rest: Buffer = nothing
  #partial: Buffer = nothing
  #skippedOctets = 0
  /** Of the line that is skipped. */
  #begin = ''
  #receiver: DataReceiver | undefined
  #blocked = false
  #running = false
  #chunkOctets = 0
  #next: (() => void) | undefined

  /** @param takesBareLineFeeds a bare LF ends a command too */
  constructor(handler: InputHandler, now: () => number, takesBareLineFeeds = false) {
    super({ highWaterMark: 262_144, decodeStrings: false })
    this.#handler = handler
    this.#now = now
    this.#takesBareLineFeeds = takesBareLineFeeds
  }

  /** The client has sent more than has been looked at: behind DATA that is a body sent without waiting for 354. */
  get hasMore(): boolean {
    return this.#rest.length > 0 || this.writableLength > this.#chunkOctets
  }

  /** The octets that follow are content of a message, up to its end. */
  receive(receiver: DataReceiver): void {
    this.#receiver = receiver
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding | 'buffer', next: () => void): void {
    if (this.isClosed) return next()
    this.#rest = chunk
    this.#chunkOctets = chunk.length
    this.#next = next
    this.#run()
  }

  override _final(done: () => void): void {
    if (!this.isClosed) this.#handler.ended()
    done()
  }

  /** A line that the end of the connection cut off is not a command. */
  override _flushData(): void {}

  #run(): void {
    if (this.#running) return
    this.#running = true
    for (let turn = 0; !this.#blocked; turn += 1) {
      if (this.isClosed || this.#rest.length === 0) return this.#finishChunk()
      if (turn === commandsPerTurn) {
        setImmediate(this.#run.bind(this))
        break
      }
      if (this.#receiver === undefined) this.#takeCommand()
      else this.#takeData(this.#receiver)
    }
    this.#running = false
  }

  #finishChunk(): void {
    this.#running = false
    this.#rest = nothing
    const next = this.#next
    this.#next = undefined
    next?.()
  }

  readonly #proceed = (): void => {
    this.#blocked = false
    this.#run()
  }

  #takeCommand(): void {
    const end = this.#rest.indexOf(0x0a)
    if (end < 0) return this.#keepPartial()
    const piece = this.#rest.subarray(0, end + 1)
    this.#rest = this.#rest.subarray(end + 1)
    const line = this.#partial.length === 0 ? piece : Buffer.concat([this.#partial, piece])
    const skipped = this.#skippedOctets > 0
    this.#partial = nothing
    this.#skippedOctets = 0
    this.lineBeganAt = 0
    this.#blocked = true
    if (skipped) this.#handler.refuseLine('too long', this.#begin, this.#proceed)
    else if (line.length > maxLineOctets) this.#handler.refuseLine('too long', beginOf(line), this.#proceed)
    else if (line[line.length - 2] === 0x0d)
      this.#handler.takeLine(line.toString('latin1', 0, line.length - 2), this.#proceed)
    else if (this.#takesBareLineFeeds)
      this.#handler.takeLine(line.toString('latin1', 0, line.length - 1), this.#proceed)
    else this.#handler.refuseLine('bare line feed', beginOf(line), this.#proceed)
  }

  #keepPartial(): void {
    if (this.lineBeganAt === 0) this.lineBeganAt = this.#now()
    if (this.#skippedOctets > 0 || this.#partial.length + this.#rest.length > maxLineOctets) {
      if (this.#skippedOctets === 0) this.#begin = beginOf(Buffer.concat([this.#partial, this.#rest]))
      this.#skippedOctets += this.#partial.length + this.#rest.length
      this.#partial = nothing
      if (this.#skippedOctets > maxSkippedOctets) this.#handler.giveUp()
    } else this.#partial = Buffer.concat([this.#partial, this.#rest])
    this.#rest = nothing
  }

  #takeData(receiver: DataReceiver): void {
    const end = receiver.take(this.#rest)
    if (end >= 0) {
      this.#receiver = undefined
      this.#rest = this.#rest.subarray(end)
      this.#blocked = true
      receiver.finish(this.#proceed)
      return
    }
    this.#rest = nothing
    if (receiver.busy === undefined) return
    this.#blocked = true
    void receiver.busy.then(this.#proceed, this.#proceed)
  }
}

const nothing: Buffer = Buffer.alloc(0)

/** Enough to know the verb. */
function beginOf(line: Buffer): string {
  return line.toString('latin1', 0, 16)
}
