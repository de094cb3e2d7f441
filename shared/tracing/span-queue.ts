import type { ReadableSpan, SpanExporter, SpanProcessor } from '@opentelemetry/sdk-trace-base'

import type { Logger } from '../log.ts'

export interface SpanQueueParts {
  readonly exporter: SpanExporter
  readonly log: Logger
  /** Told of each batch, and of each span that finds no room. */
  readonly count: (outcome: 'sent' | 'dropped', spans: number) => void
  readonly mostWaiting?: number
  readonly delayMs?: number
}

const batchSpans = 512
const closeMs = 2_000

/**
 * Spans on their way to the collector: one batch at a time, and so many that wait. Beyond that they are dropped and counted, so that a
 * collector that is slow or gone costs memory up to a bound, and mail nothing. Its trouble is logged once, until it takes spans again.
 */
export class SpanQueue implements SpanProcessor {
  readonly #exporter: SpanExporter
  readonly #log: Logger
  readonly #count: SpanQueueParts['count']
  readonly #mostWaiting: number
  readonly #delayMs: number
  #waiting: ReadableSpan[] = []
  #timer: NodeJS.Timeout | undefined
  #sending: Promise<void> | undefined
  #isTroubled = false
  #isClosed = false

  constructor({ exporter, log, count, mostWaiting = 8_192, delayMs = 1_000 }: SpanQueueParts) {
    this.#exporter = exporter
    this.#log = log
    this.#count = count
    this.#mostWaiting = mostWaiting
    this.#delayMs = delayMs
  }

  onStart(): void {}

  onEnd(span: ReadableSpan): void {
    if (this.#isClosed || this.#waiting.length >= this.#mostWaiting) {
      this.#count('dropped', 1)
      return this.#tell('more spans than the collector takes')
    }
    this.#waiting.push(span)
    if (this.#waiting.length >= batchSpans) return this.#send()
    this.#timer ??= setTimeout(() => this.#send(), this.#delayMs).unref()
  }

  async forceFlush(): Promise<void> {
    while (this.#sending !== undefined || this.#waiting.length > 0) {
      this.#send()
      await this.#sending
    }
  }

  async shutdown(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    const limit = new AbortController()
    const timer = setTimeout(() => limit.abort(), closeMs)
    const late = new Promise<void>((resolve) => limit.signal.addEventListener('abort', () => resolve()))
    await Promise.race([this.forceFlush(), late])
    clearTimeout(timer)
    if (this.#waiting.length > 0) this.#count('dropped', this.#waiting.splice(0).length)
    // What it has in hand it may keep for ten seconds; nobody waits for that.
    void this.#exporter.shutdown().catch(() => undefined)
  }

  #send(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#sending !== undefined || this.#waiting.length === 0) return
    this.#sending = this.#export(this.#waiting.splice(0, batchSpans)).finally(() => {
      this.#sending = undefined
      if (this.#waiting.length > 0) this.#timer ??= setTimeout(() => this.#send(), 0).unref()
    })
  }

  /** Never rejects. */
  #export(batch: ReadableSpan[]): Promise<void> {
    return new Promise((resolve) => {
      this.#exporter.export(batch, ({ code, error }) => {
        const result: number = code
        const isSent = result === 0
        this.#count(isSent ? 'sent' : 'dropped', batch.length)
        if (!isSent) this.#tell(error?.message ?? 'the collector did not take them')
        else if (this.#isTroubled) {
          this.#isTroubled = false
          this.#log.info({}, 'traces: the collector takes spans again')
        }
        resolve()
      })
    })
  }

  #tell(reason: string): void {
    if (this.#isTroubled) return
    this.#isTroubled = true
    this.#log.warn({ reason }, 'traces: spans are dropped until the collector takes them; mail goes on')
  }
}
