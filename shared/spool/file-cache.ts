import { closeFile, openFile } from './file-io.ts'

/** Open files for reading, shared by those who read at the same time; the least recently used are closed first. */
export class FileCache {
  readonly #limit: number
  readonly #files = new Map<string, OpenFile>()

  constructor(limit: number) {
    this.#limit = limit
  }

  /** Runs `use` with the open file. Rejects with ENOENT when there is none. */
  async with<T>(path: string, use: (fd: number) => Promise<T>): Promise<T> {
    const file = this.#acquire(path)
    try {
      return await use(await file.fd)
    } finally {
      this.#release(path, file)
    }
  }

  /** Closes what nobody used for a while: an open file keeps its space on disk after it was deleted. */
  closeIdle(): void {
    for (const [path, file] of this.#files) {
      if (file.wasUsed) file.wasUsed = false
      else this.#evict(path, file)
    }
  }

  /** The next one opens it anew: another file has its name. */
  drop(path: string): void {
    const file = this.#files.get(path)
    if (file !== undefined) this.#evict(path, file)
  }

  close(): void {
    for (const [path, file] of this.#files) this.#evict(path, file)
  }

  #acquire(path: string): OpenFile {
    const known = this.#files.get(path)
    const file = known ?? { fd: openFile(path, 'r'), users: 0, wasUsed: true, isEvicted: false }
    file.users += 1
    file.wasUsed = true
    // Re-inserted behind the others: the map's order is the order of use.
    this.#files.delete(path)
    this.#files.set(path, file)
    if (known === undefined) {
      file.fd.catch(() => this.#forget(path, file))
      this.#shrink()
    }
    return file
  }

  #release(path: string, file: OpenFile): void {
    file.users -= 1
    if (file.isEvicted) this.#evict(path, file)
  }

  #shrink(): void {
    for (const [path, file] of this.#files) {
      if (this.#files.size <= this.#limit) return
      this.#evict(path, file)
    }
  }

  /** Takes a file out; it is closed when its last user is done. */
  #evict(path: string, file: OpenFile): void {
    file.isEvicted = true
    this.#forget(path, file)
    if (file.users > 0) return
    file.fd.then(closeFile).catch(() => undefined)
  }

  #forget(path: string, file: OpenFile): void {
    if (this.#files.get(path) === file) this.#files.delete(path)
  }
}

interface OpenFile {
  readonly fd: Promise<number>
  users: number
  wasUsed: boolean
  isEvicted: boolean
}
