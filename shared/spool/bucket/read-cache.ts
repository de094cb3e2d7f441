import { randomBytes } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

import { closeFile, openFile, writeFully } from '../file-io.ts'
import { isFull } from '../free-space.ts'
import { isWriterName } from '../segment-name.ts'

/** Unfinished files of this age belong to nobody. */
const unfinishedMs = 3_600_000
/** Trimming goes a little below the limit, so that it is not needed again at once. */
const trimTo = 0.9
const bootMark = '.boot'
const unfinishedPattern = /^\.[0-9a-f]{16}$/

/**
 * Objects that were stored or read by the processes of this host, as files of the same path: each is fetched once for all of them.
 * Nothing here is needed: what is missing is read from the bucket. Files never change; which of them stay is a matter of age.
 */
export class ReadCache {
  readonly path: string
  readonly #limitBytes: number
  readonly #fetching = new Map<string, Promise<boolean>>()

  /** Files are kept without a sync: those of before the machine was booted may have holes, and go. */
  static async open(path: string, limitBytes: number): Promise<ReadCache> {
    await mkdir(path, { recursive: true, mode: 0o750 })
    const mark = join(path, bootMark)
    const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '')
    const known = await readFile(mark, 'utf8').catch(() => undefined)
    if (boot === '' || known !== boot) {
      const old = (await readdir(path)).filter(isWriterName)
      for (const name of old) await rm(join(path, name), { recursive: true, force: true })
      await writeFile(mark, boot, { mode: 0o640 })
    }
    return new ReadCache(path, limitBytes)
  }

  private constructor(path: string, limitBytes: number) {
    this.path = path
    this.#limitBytes = limitBytes
  }

  /** Brings a file here; those who want it at the same time share one request. False when `read` has none. */
  fetch(file: string, read: () => Promise<Readable | undefined>): Promise<boolean> {
    const known = this.#fetching.get(file)
    if (known !== undefined) return known
    const fetching = this.#fetch(file, read).finally(() => this.#fetching.delete(file))
    this.#fetching.set(file, fetching)
    return fetching
  }

  /** Keeps what was stored. Never rejects: the cache may do without. */
  async keep(file: string, octets: readonly Buffer[]): Promise<void> {
    await this.#make(file, async (making) => {
      const fd = await openFile(making, 'wx')
      const { error } = await writeFully(fd, octets, 0)
      await closeFile(fd)
      if (error !== undefined) throw error
    }).catch(() => undefined)
  }

  /** A path nobody reads yet; `adopt` gives it its name. */
  newFile(): string {
    return join(this.path, `.${randomBytes(8).toString('hex')}`)
  }

  async adopt(making: string, file: string): Promise<void> {
    await mkdir(join(this.path, dirname(file)), { recursive: true, mode: 0o750 })
    await rename(making, join(this.path, file))
  }

  async remove(file: string): Promise<void> {
    await rm(join(this.path, file), { force: true })
  }

  /** Deletes the oldest files until the limit holds, and what was left behind unfinished. */
  async trim(nowAt: number): Promise<void> {
    await this.#trim(await this.#files(nowAt), this.#limitBytes)
  }

  async #trim(files: CachedFile[], limitBytes: number): Promise<void> {
    let bytes = files.reduce((sum, { size }) => sum + size, 0)
    if (bytes <= limitBytes) return
    files.sort((one, other) => one.mtimeMs - other.mtimeMs)
    for (const { path, size } of files) {
      if (bytes <= limitBytes * trimTo) break
      await rm(path, { force: true })
      bytes -= size
    }
  }

  /** On a full disk with half of the files that were there. */
  async #fetch(file: string, read: () => Promise<Readable | undefined>): Promise<boolean> {
    try {
      return await this.#fetchOnce(file, read)
    } catch (error) {
      if (!isFull(error)) throw error
      const files = await this.#files(Date.now())
      await this.#trim(files, files.reduce((sum, { size }) => sum + size, 0) / 2)
      return this.#fetchOnce(file, read)
    }
  }

  async #fetchOnce(file: string, read: () => Promise<Readable | undefined>): Promise<boolean> {
    const octets = await read()
    if (octets === undefined) return false
    await this.#make(file, (making) => pipeline(octets, createWriteStream(making, { flags: 'wx', mode: 0o640 })))
    return true
  }

  async #make(file: string, write: (making: string) => Promise<void>): Promise<void> {
    const making = this.newFile()
    try {
      await write(making)
      await this.adopt(making, file)
    } catch (error) {
      await rm(making, { force: true })
      throw error
    }
  }

  async #files(nowAt: number): Promise<CachedFile[]> {
    const files: CachedFile[] = []
    for (const name of await readdir(this.path)) {
      const path = join(this.path, name)
      if (isWriterName(name)) files.push(...(await filesIn(path)))
      if (!unfinishedPattern.test(name)) continue
      if (nowAt - ((await fileAt(path))?.mtimeMs ?? nowAt) > unfinishedMs) await rm(path, { force: true })
    }
    return files
  }
}

interface CachedFile {
  readonly path: string
  readonly size: number
  readonly mtimeMs: number
}

async function filesIn(folder: string): Promise<readonly CachedFile[]> {
  const names = await readdir(folder).catch(() => [])
  const files: CachedFile[] = []
  for (const name of names) {
    const file = await fileAt(join(folder, name))
    if (file !== undefined) files.push(file)
  }
  return files
}

async function fileAt(path: string): Promise<CachedFile | undefined> {
  const found = await stat(path).catch(() => undefined)
  return found?.isFile() === true ? { path, size: found.size, mtimeMs: found.mtimeMs } : undefined
}
