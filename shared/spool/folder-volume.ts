import { existsSync } from 'node:fs'
import { mkdir, readdir, rm, rmdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { Clock } from '../clock.ts'
import { fileSizeAt, withFile } from './file-io.ts'
import { hasCode } from './free-space.ts'
import { declareDead, isWriterAlive } from './liveness.ts'
import { RecordReader } from './record-reader.ts'
import type { RecordReaderOptions } from './record-reader.ts'
import { relocatedFolder, relocatedLogFolder } from './segment-name.ts'
import { listOutcomeLogs, listSpool } from './spool-files.ts'
import type { OutcomeLogFile, SpoolListing } from './spool-files.ts'
import { syncDirectory } from './sync-directory.ts'
import type { FileStat, KeyNames, SpoolVolume } from './volume.ts'

/** A spool in a folder of the file system. */
export class FolderVolume implements SpoolVolume {
  readonly name: string
  readonly folder: string
  readonly keys: KeyNames

  constructor(folder: string) {
    this.name = folder
    this.folder = folder
    this.keys = keyNames(folder)
  }

  async isEmpty(): Promise<boolean> {
    return !existsSync(this.folder)
  }

  list(): Promise<SpoolListing> {
    return listSpool(this.folder)
  }

  listOutcomeLogs(): Promise<readonly OutcomeLogFile[]> {
    return listOutcomeLogs(this.folder)
  }

  withFile<T>(file: string, use: (fd: number) => Promise<T>): Promise<T | undefined> {
    return withFile(join(this.folder, file), use)
  }

  async prepare(): Promise<void> {}

  sizeOf(file: string): Promise<number | undefined> {
    return fileSizeAt(join(this.folder, file))
  }

  async stat(file: string): Promise<FileStat | undefined> {
    try {
      return await stat(join(this.folder, file))
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return undefined
      throw error
    }
  }

  async remove(file: string): Promise<void> {
    await rm(join(this.folder, file), { force: true })
  }

  async syncRemoved({ writers }: SpoolListing): Promise<void> {
    for (const folder of [...writers.map(({ name }) => name), relocatedFolder]) {
      await syncDirectory(join(this.folder, folder)).catch((error: unknown) => {
        if (!hasCode(error, 'ENOENT')) throw error
      })
    }
  }

  isWriterAlive(writer: string, clock: Clock): Promise<boolean> {
    return isWriterAlive(join(this.folder, writer), clock)
  }

  declareDead(writer: string): Promise<void> {
    return declareDead(join(this.folder, writer))
  }

  async removeWriter(writer: string): Promise<boolean> {
    await rm(join(this.folder, writer, 'dead'), { force: true })
    return rmdir(join(this.folder, writer)).then(
      () => true,
      () => false,
    )
  }

  /** Files and folders that were being made: their names begin with a dot. */
  async removeUnfinished(
    unfinishedMs: number,
    clock: Clock,
    onStep: (step: string) => void | Promise<void>,
  ): Promise<void> {
    for (const folder of [relocatedFolder, relocatedLogFolder, '.']) {
      const names = await readdir(join(this.folder, folder)).catch(() => [])
      for (const name of names.filter((one) => one.startsWith('.'))) {
        const stats = await this.stat(join(folder, name))
        if (stats === undefined || clock.now() - stats.mtimeMs < unfinishedMs) continue
        await onStep('remove unfinished')
        await rm(join(this.folder, folder, name), { force: true, recursive: true })
      }
    }
  }

  reader(options: RecordReaderOptions): RecordReader {
    return new RecordReader(this.folder, options)
  }

  async close(): Promise<void> {}
}

/** A spool in a folder may be named by its path. */
export type SpoolPlace = string | SpoolVolume

export function volumeAt(place: SpoolPlace): SpoolVolume {
  return typeof place === 'string' ? new FolderVolume(place) : place
}

const keysFolder = 'keys'

/** As empty files in `keys/`. */
function keyNames(path: string): KeyNames {
  const folder = join(path, keysFolder)
  return {
    async list() {
      try {
        return await readdir(folder)
      } catch (error) {
        if (hasCode(error, 'ENOENT')) return []
        throw error
      }
    },
    async add(id) {
      const made = await mkdir(folder, { recursive: true, mode: 0o750 })
      await writeFile(join(folder, id), '', { mode: 0o640 })
      await syncDirectory(folder)
      if (made !== undefined) await syncDirectory(path)
    },
    remove: (id) => rm(join(folder, id), { force: true }),
  }
}
