import { SmallMessage } from './record-reader.ts'
import type { Locator, SpooledMessage, StoredMessage } from './spool.ts'

/**
 * The messages this process stored last, so that a stage in the same process needs no read: a trip to the thread pool costs more
 * than a small message's copy. Holds `limitBytes` of content at most; the oldest go first.
 */
export class RecentMessages {
  readonly #limitBytes: number
  readonly #messages = new Map<string, SpooledMessage>()
  #bytes = 0

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
  }

  /** Copies the content: the pieces are slices of the network's much larger buffers. */
  put(message: StoredMessage, locator: Locator, pieces: readonly Buffer[]): void {
    if (locator.sizeBytes > this.#limitBytes / 16) return
    this.#messages.set(keyOf(locator), new SmallMessage(message, locator, Buffer.concat(pieces)))
    this.#bytes += locator.sizeBytes
    for (const [key, { locator: oldest }] of this.#messages) {
      if (this.#bytes <= this.#limitBytes) break
      this.#messages.delete(key)
      this.#bytes -= oldest.sizeBytes
    }
  }

  get(locator: Locator): SpooledMessage | undefined {
    const found = this.#messages.get(keyOf(locator))
    return found?.locator.recordBytes === locator.recordBytes ? found : undefined
  }

  clear(): void {
    this.#messages.clear()
    this.#bytes = 0
  }
}

function keyOf({ segment, offset }: Locator): string {
  return `${segment}:${offset}`
}
