import { kindBytes, kindOf } from './file-kind.ts'
import type { Look, Place, Search } from './search.ts'

/** A file of an archive: tells its type by its first octets, and looks into it: it may be an archive itself. */
export class FileLook implements Look {
  readonly #search: Search
  readonly #name: string
  readonly #place: Place
  /** Until its kind is known. */
  #head: Buffer | undefined = Buffer.alloc(0)
  #look: Look | undefined

  /** @throws LimitReached */
  constructor(search: Search, name: string, place: Place) {
    search.countFile(name, place)
    this.#search = search
    this.#name = name
    this.#place = place
  }

  async write(octets: Buffer): Promise<void> {
    if (this.#head === undefined) return this.#look?.write(octets)
    this.#head = this.#head.length === 0 ? octets : Buffer.concat([this.#head, octets])
    if (this.#head.length >= kindBytes) await this.#open(this.#head)
  }

  async end(): Promise<void> {
    if (this.#head !== undefined) await this.#open(this.#head)
    await this.#look?.end()
  }

  async #open(head: Buffer): Promise<void> {
    this.#head = undefined
    const { type, look, unreadable } = kindOf(head, this.#name)
    if (type !== undefined) this.#search.report({ kind: 'type', text: type }, this.#place)
    if (unreadable) this.#search.report({ kind: 'unreadable', text: this.#name }, this.#place)
    this.#look = this.#search.open(look, this.#name, this.#place)
    await this.#look.write(head)
  }
}
