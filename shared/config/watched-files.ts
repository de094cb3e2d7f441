import { statSync } from 'node:fs'

import { TableError } from './external-table.ts'
import { readTableFile } from './read-file.ts'

export interface WatchedFilesOptions {
  readonly now: () => number
  /** Told when a changed file cannot be used and the old content stays. */
  readonly onWarning: (message: string) => void
}

interface Loaded<Content> {
  content: Content
  version: string
  checkedAt: number
}

const recheckMs = 1000

/**
 * Files of tables: each is read at its first use and again when it has changed (seen within a second), in one step. A new content
 * that cannot be read keeps the old one in force.
 */
export class WatchedFiles<Content> {
  readonly #options: WatchedFilesOptions
  readonly #files = new Map<string, Loaded<Content>>()

  constructor(options: WatchedFilesOptions) {
    this.#options = options
  }

  /**
   * @param format what `parse` makes of the text; one file may be read in several
   * @throws TableError when it could not be read even once
   */
  read(table: string, path: string, format: string, parse: (text: string) => Content): Content {
    const key = `${format} ${path}`
    const loaded = this.#files.get(key)
    if (loaded === undefined) return this.#load(table, path, key, parse)
    if (this.#options.now() - loaded.checkedAt >= recheckMs) this.#reload(table, path, loaded, parse)
    return loaded.content
  }

  /** Every file is read again at its next use, changed or not. */
  refresh(): void {
    for (const loaded of this.#files.values()) {
      loaded.checkedAt = Number.NEGATIVE_INFINITY
      loaded.version = 'to be read again'
    }
  }

  #load(table: string, path: string, key: string, parse: (text: string) => Content): Content {
    try {
      const version = versionOf(path)
      const content = parse(readTableFile(path))
      this.#files.set(key, { content, version, checkedAt: this.#options.now() })
      return content
    } catch (error) {
      throw new TableError(`table "${table}": ${path}: ${reasonOf(error)}`, { cause: error })
    }
  }

  #reload(table: string, path: string, loaded: Loaded<Content>, parse: (text: string) => Content): void {
    loaded.checkedAt = this.#options.now()
    let version = 'unreadable'
    try {
      version = versionOf(path)
      if (version === loaded.version) return
      loaded.content = parse(readTableFile(path))
    } catch (error) {
      if (version !== loaded.version) {
        const reason = `${reasonOf(error)}; the content read before stays in force`
        this.#options.onWarning(`table "${table}": ${path}: ${reason}`)
      }
    }
    loaded.version = version
  }
}

function versionOf(path: string): string {
  const { mtimeNs, size, ino } = statSync(path, { bigint: true })
  return `${mtimeNs}/${size}/${ino}`
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
