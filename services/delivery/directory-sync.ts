import { open } from 'node:fs/promises'

interface Round {
  readonly done: Promise<void>
}

/**
 * fsync of directories, so that a new name survives a power loss. Those that wait for the same directory at one moment
 * share one fsync; an fsync that has begun already does not count for who comes later.
 */
export class DirectorySync {
  readonly #running = new Map<string, Promise<void>>()
  readonly #next = new Map<string, Round>()

  /** Resolves when all names made in the directory before the call are on disk. */
  sync(path: string): Promise<void> {
    const next = this.#next.get(path)
    if (next !== undefined) return next.done
    const running = this.#running.get(path)
    if (running === undefined) return this.#start(path)
    const done = running
      .catch(() => {})
      .then(() => {
        this.#next.delete(path)
        return this.#start(path)
      })
    this.#next.set(path, { done })
    return done
  }

  #start(path: string): Promise<void> {
    const run = syncDirectory(path).finally(() => {
      if (this.#running.get(path) === run) this.#running.delete(path)
    })
    this.#running.set(path, run)
    return run
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}
