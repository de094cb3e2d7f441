import { join } from 'node:path'

import type { AppendableRecord } from './append-log.ts'
import { closeFile, openFile, writeFully } from './file-io.ts'
import { encodeHead, sealHead, segmentSeed } from './frame.ts'
import { isFull } from './free-space.ts'
import type { Draft } from './incoming.ts'
import { fileName, segmentPath } from './segment-name.ts'
import { SpoolFullError } from './spool.ts'
import type { WriterFolder } from './writer-folder.ts'

/**
 * The record of a message that is not accepted yet, in a file of its own that no index looks into. Written without a sync: it need not
 * outlive the process that waits for what others say of it.
 */
export class DraftFile implements Draft {
  /** Below the spool folder. */
  readonly path: string
  readonly #folder: WriterFolder
  readonly #file: string
  #written: Promise<void> | undefined

  constructor(folder: WriterFolder, sequence: number) {
    this.path = segmentPath(folder.name, sequence, 'draft')
    this.#folder = folder
    this.#file = fileName(sequence, 'draft')
  }

  /** Resolves when others can read it. @throws SpoolFullError */
  write(record: AppendableRecord): Promise<void> {
    return (this.#written ??= this.#write(record))
  }

  /** Also while it is being written. */
  async remove(): Promise<void> {
    await this.#written?.catch(() => undefined)
    await this.#folder.removeFile(this.#file)
  }

  async #write(record: AppendableRecord): Promise<void> {
    const head = encodeHead(record.head)
    const wrapped = record.wrapAt?.(head, { segment: this.path, offset: 0 })
    sealHead(head, segmentSeed(this.path), true)
    const fd = await openFile(join(this.#folder.path, this.#file), 'wx')
    try {
      const { error } = await writeFully(fd, [head, ...(wrapped ?? [record.meta, ...record.content])], 0)
      if (error !== undefined) throw isFull(error) ? new SpoolFullError('the disk is full', { cause: error }) : error
    } finally {
      await closeFile(fd)
    }
  }
}
