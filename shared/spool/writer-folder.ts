import { statSync } from 'node:fs'
import { mkdir, rename, rm, rmdir, unlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { Clock } from '../clock.ts'
import { ownIdentity } from './liveness.ts'
import { aliveFile, newWriterName } from './segment-name.ts'
import { DirectorySync, syncDirectory } from './sync-directory.ts'

/** The folder of one writing process, `<spool>/<prefix>-<random>/`; it holds its segments and the file `alive`. */
export class WriterFolder {
  readonly name: string
  readonly path: string
  readonly #clock: Clock
  readonly #directory: DirectorySync
  #isClosed = false

  /** Makes a new folder durable; nobody sees it before its `alive` file is in it. */
  static async create(spoolPath: string, prefix: string, clock: Clock): Promise<WriterFolder> {
    const name = newWriterName(prefix)
    const making = join(spoolPath, `.${name}`)
    await mkdir(making, { recursive: true, mode: 0o750 })
    await writeFile(join(making, aliveFile), `${JSON.stringify(ownIdentity())}\n`, { mode: 0o640 })
    await utimes(join(making, aliveFile), clock.now() / 1000, clock.now() / 1000)
    await syncDirectory(making)
    await rename(making, join(spoolPath, name))
    await syncDirectory(spoolPath)
    return new WriterFolder(spoolPath, name, clock)
  }

  private constructor(spoolPath: string, name: string, clock: Clock) {
    this.name = name
    this.path = join(spoolPath, name)
    this.#clock = clock
    this.#directory = new DirectorySync(this.path)
  }

  /**
   * True while nobody declared this writer dead. To be asked after a write is on disk and before it is acknowledged; a
   * synchronous stat, because it decides in between and costs less than a trip to the thread pool.
   */
  isOwn(): boolean {
    return !this.#isClosed && statSync(join(this.path, aliveFile), { throwIfNoEntry: false }) !== undefined
  }

  async beat(): Promise<void> {
    const now = this.#clock.now() / 1000
    await utimes(join(this.path, aliveFile), now, now)
  }

  /** Makes the names of new files durable. */
  sync(): Promise<void> {
    return this.#directory.sync()
  }

  async removeFile(file: string): Promise<void> {
    await rm(join(this.path, file), { force: true })
  }

  /** Ends the life of this writer; removes the folder when nothing is left in it. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await unlink(join(this.path, aliveFile)).catch(() => undefined)
    await rmdir(this.path).catch(() => undefined)
  }
}
