import { MimeWalk } from './mime-walk.ts'
import type { WalkEvent } from './mime-walk.ts'
import { LimitReached } from './search.ts'
import type { Look, Place, Search } from './search.ts'

/** A message with all that is attached to it, and what lies in that. */
export class MessageLook implements Look {
  readonly #search: Search
  readonly #place: Place
  readonly #walk = new MimeWalk()
  #attached: Look | undefined

  constructor(search: Search, place: Place) {
    this.#search = search
    this.#place = place
  }

  async write(octets: Buffer): Promise<void> {
    for (const event of this.#walk.write(octets)) await this.#take(event)
  }

  async end(): Promise<void> {
    for (const event of this.#walk.end()) await this.#take(event)
  }

  /** @throws LimitReached when it lies in an archive itself */
  async #take(event: WalkEvent): Promise<void> {
    if (event.kind !== 'open' && event.kind !== 'octets' && event.kind !== 'close')
      return this.#search.report(event, this.#place)
    if (this.#search.isOver) return
    try {
      await this.#follow(event)
    } catch (error) {
      this.#attached = undefined
      if (!(error instanceof LimitReached) || this.#place.depth > 0) throw error
      this.#search.isOver = true
      this.#search.report({ kind: 'limit', text: error.message }, this.#place)
    }
  }

  async #follow(event: Extract<WalkEvent, { readonly kind: 'open' | 'octets' | 'close' }>): Promise<void> {
    switch (event.kind) {
      case 'open':
        this.#attached = this.#search.open(event.look, event.name, this.#place)
        return
      case 'octets':
        return this.#attached?.write(event.octets)
      case 'close': {
        const attached = this.#attached
        this.#attached = undefined
        return attached?.end()
      }
    }
  }
}
