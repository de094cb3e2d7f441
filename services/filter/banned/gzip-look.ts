import { constants, createGunzip } from 'node:zlib'

import { FileLook } from './file-look.ts'
import type { Look, Place, Search } from './search.ts'
import { isOfZlib, Unpacker } from './unpacker.ts'

const chunkBytes = 65_536

/** The file that a .gz is (RFC 1952). */
export class GzipLook implements Look {
  readonly #search: Search
  readonly #place: Place
  readonly #file: FileLook
  readonly #unpacker: Unpacker
  #packed = 0
  #unpacked = 0
  #isOver = false

  /** @param name that of the archive: the file has it without the ending */
  constructor(search: Search, name: string, place: Place) {
    this.#search = search
    this.#place = place
    this.#file = new FileLook(search, name.replace(/\.tgz$/i, '.tar').replace(/\.gz$/i, ''), place)
    const stream = createGunzip({ chunkSize: chunkBytes, finishFlush: constants.Z_SYNC_FLUSH })
    this.#unpacker = new Unpacker(stream, (octets) => this.#take(octets), search.unpackers)
  }

  async write(octets: Buffer): Promise<void> {
    this.#packed += octets.length
    if (!this.#isOver) await this.#try(() => this.#unpacker.write(octets))
  }

  async end(): Promise<void> {
    if (!this.#isOver) await this.#try(() => this.#unpacker.end())
    await this.#file.end()
  }

  async #try(work: () => Promise<unknown>): Promise<void> {
    try {
      await work()
    } catch (error) {
      this.#isOver = true
      this.#unpacker.close()
      if (!isOfZlib(error)) throw error
      // Whatever stands behind the packed file is no part of it, for other readers too.
      if (this.#unpacked === 0) this.#search.report({ kind: 'unreadable', text: 'damaged' }, this.#place)
    }
  }

  async #take(octets: Buffer): Promise<void> {
    this.#unpacked += octets.length
    this.#search.countUnpacked(octets.length, { unpacked: this.#unpacked, packed: this.#packed })
    await this.#file.write(octets)
  }
}
