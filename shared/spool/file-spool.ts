import { constants } from 'node:fs'
import { access, mkdir } from 'node:fs/promises'

import { systemClock } from '../clock.ts'
import { AppendLog } from './append-log.ts'
import { DraftFile } from './draft-file.ts'
import { FolderVolume } from './folder-volume.ts'
import type { OwnContent } from './incoming.ts'
import { LargeFile } from './large-file.ts'
import { heartbeatMs } from './liveness.ts'
import { prepareKeys, RecordSpool } from './record-spool.ts'
import type { RecordSpoolOptions } from './record-spool.ts'
import { WriterFolder } from './writer-folder.ts'

/** The quota is of its files together. */
export interface SpoolOptions extends RecordSpoolOptions {
  /** The spool folder; made when it is missing. */
  readonly path: string
  readonly segmentBytes?: number
  /** A segment with records is closed at this age, so that it can be cleaned up. */
  readonly segmentAgeMs?: number
}

/**
 * Opens the spool for reading and writing. Rejects when its folder cannot be written.
 * @throws SpoolKeyError when records in it need a key that is not known
 */
export async function openSpool(options: SpoolOptions): Promise<FileSpool> {
  const { path, writer, clock = systemClock } = options
  await mkdir(path, { recursive: true, mode: 0o750 })
  await prepareKeys(new FolderVolume(path), options)
  return new FileSpool(options, await WriterFolder.create(path, writer, clock))
}

/** The spool in a folder of the file system: segments of one writer each, read by all. */
export class FileSpool extends RecordSpool<FolderVolume> {
  readonly path: string
  protected readonly messages: AppendLog
  protected readonly outcomes: AppendLog
  readonly #options: SpoolOptions
  readonly #heartbeat: NodeJS.Timeout
  #folder: WriterFolder | undefined
  #makingFolder: Promise<WriterFolder> | undefined
  /** Contents and drafts that have files of their own. */
  #ownFiles = 0

  constructor(options: SpoolOptions, folder: WriterFolder) {
    const { path, segmentBytes = 64 * 1024 * 1024 } = options
    const volume = new FolderVolume(path)
    super(options, { volume, outcomes: volume, disk: path })
    this.path = path
    this.#options = options
    this.#folder = folder
    const log = {
      clock: this.clock,
      folder: () => this.#writerFolder(),
      onDeclaredDead: (dead: WriterFolder) => {
        if (this.#folder === dead) this.#folder = undefined
      },
    }
    this.messages = new AppendLog({ ...log, extension: 'msg', segmentBytes })
    this.outcomes = new AppendLog({
      ...log,
      extension: 'out',
      segmentBytes: Math.min(segmentBytes, outcomeSegmentBytes),
    })
    this.#heartbeat = setInterval(() => void this.#beat(), heartbeatMs)
    this.#heartbeat.unref()
  }

  check(): Promise<void> {
    return access(this.path, constants.W_OK | constants.X_OK)
  }

  async close(): Promise<void> {
    if (!this.takeNoMore()) return
    clearInterval(this.#heartbeat)
    await this.messages.close()
    await this.outcomes.close()
    await this.letGo()
    await this.#makingFolder?.catch(() => undefined)
    await this.#folder?.close()
  }

  protected async openContent(): Promise<LargeFile> {
    return new LargeFile(await this.#writerFolder(), this.#nextFile(), this.atRest)
  }

  protected async openDraft(beside: OwnContent | undefined): Promise<DraftFile> {
    const folder = beside instanceof LargeFile ? beside.writer : await this.#writerFolder()
    return new DraftFile(folder, this.#nextFile())
  }

  #nextFile(): number {
    this.#ownFiles += 1
    return this.#ownFiles
  }

  /** The folder to write to: a new one after another process declared the last one dead. */
  async #writerFolder(): Promise<WriterFolder> {
    if (this.#folder !== undefined) return this.#folder
    this.#makingFolder ??= WriterFolder.create(this.path, this.#options.writer, this.clock).finally(() => {
      this.#makingFolder = undefined
    })
    this.#folder = await this.#makingFolder
    return this.#folder
  }

  /** Never rejects: a heartbeat that fails is noticed by others, or by the next write. */
  async #beat(): Promise<void> {
    this.reader.closeIdle()
    const ageMs = this.#options.segmentAgeMs ?? 600_000
    await this.#folder?.beat().catch(() => undefined)
    await this.messages.rotate(this.clock.now(), ageMs).catch(() => undefined)
    await this.outcomes.rotate(this.clock.now(), ageMs).catch(() => undefined)
  }
}

const outcomeSegmentBytes = 16 * 1024 * 1024
