import { FilterFailure } from '../../shared/filter-host/filter-run.ts'
import type { LineStream } from '../../shared/filter-host/filter-run.ts'
import { SmtpError, replies } from '../../shared/mail/reply.ts'
import type { IncomingContent } from '../../shared/spool/spool.ts'
import { HeaderWatch } from './header-watch.ts'
import type { HeaderFacts } from './header-watch.ts'

export interface LineRewriter {
  open(onLine: (line: string) => void): LineStream
  congestion(): Promise<void> | undefined
}

export interface FilteredContentOptions {
  readonly content: Pick<IncomingContent, 'write' | 'abort'>
  /** In the order of the chain: what one makes of the message is what the next is given. */
  readonly rewriters: readonly LineRewriter[]
  /** Fields that go through them first: X-Spam and Received. */
  readonly trace: string
  /** Of what the last makes of it. */
  readonly maxBytes: number
  readonly headerBytes: number
}

/** Octets collected before they are written. */
const blockOctets = 65_536

/** Content that goes through filter processes line by line on its way to the spool. */
export class FilteredContent {
  sizeBytes = 0
  readonly #options: FilteredContentOptions
  readonly #streams: LineStream[] = []
  readonly #watch: HeaderWatch
  #partial = ''
  #lines = ''
  #written: Promise<void> = Promise.resolve()
  #tooBig = false

  /** @throws FilterFailure when a filter takes no message now */
  constructor(options: FilteredContentOptions) {
    this.#options = options
    this.#watch = new HeaderWatch(options.headerBytes)
    options.rewriters.forEach((rewriter, index) => {
      const last = index === options.rewriters.length - 1
      this.#streams.push(
        rewriter.open(last ? (line) => this.#keep(line) : (line) => this.#streams[index + 1]?.write(line)),
      )
    })
    this.#feed(options.trace)
  }

  /** Decoded content. The promise, when there is one, is to be waited for before the next. */
  write(chunk: Buffer): Promise<void> | undefined {
    this.#feed(chunk.toString('latin1'))
    const waits = this.#options.rewriters.map((one) => one.congestion()).filter((one) => one !== undefined)
    return waits.length === 0 ? undefined : Promise.all(waits).then(() => undefined)
  }

  /**
   * Resolves when all the filters have ended the message and it is written.
   * @throws SmtpError when it cannot be taken
   */
  async end(): Promise<void> {
    if (this.#partial !== '') this.#feed('\r\n')
    this.#streams[0]?.write('.')
    try {
      await Promise.all(this.#streams.map(({ done }) => done))
    } catch (error) {
      if (error instanceof FilterFailure) throw new SmtpError(replies.tryLater, { cause: error })
      throw error
    }
    this.#flush()
    await this.#written
    if (this.#tooBig) throw new SmtpError(replies.messageTooBig)
  }

  /** Of the header section as the filters leave it. */
  facts(): HeaderFacts {
    return this.#watch.facts()
  }

  /** The header section. */
  section(): Buffer {
    return this.#watch.section()
  }

  /** The message is dropped; the filters see its end, so that they are ready for another. */
  async abort(): Promise<void> {
    for (const stream of this.#streams) {
      stream.abandon()
      stream.write('.')
    }
    await this.#options.content.abort()
  }

  #feed(text: string): void {
    const [first] = this.#streams
    const lines = `${this.#partial}${text}`.split('\r\n')
    this.#partial = lines.pop() ?? ''
    for (const line of lines) first?.write(line.startsWith('.') ? `.${line}` : line)
  }

  /** A line as the last filter gives it, dots stuffed; a bare CR would be a line end to some readers. */
  #keep(line: string): void {
    if (line === '.' || this.#tooBig) return
    const plain = (line.startsWith('.') ? line.slice(1) : line).replaceAll('\r', '')
    this.#lines += `${plain}\r\n`
    this.sizeBytes += plain.length + 2
    if (this.sizeBytes > this.#options.maxBytes) {
      this.#tooBig = true
      this.#lines = ''
    } else if (this.#lines.length >= blockOctets) this.#flush()
  }

  #flush(): void {
    if (this.#lines === '') return
    const block = Buffer.from(this.#lines, 'latin1')
    this.#lines = ''
    this.#watch.feed(block)
    this.#written = this.#written.then(() => this.#options.content.write(block))
    this.#written.catch(() => undefined)
  }
}
