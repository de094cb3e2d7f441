import { join } from 'node:path'

import { ChunkWriter } from './chunk.ts'
import { hasName, openFile, syncFile } from './file-io.ts'
import { FillingFile } from './filling-file.ts'
import type { OwnContent } from './incoming.ts'
import type { AtRest } from './record-wrap.ts'
import { fileName, segmentPath } from './segment-name.ts'
import type { WriterFolder } from './writer-folder.ts'

/** The content of a large message on its way into a file of its own, so that a slow client never blocks the log. */
export class LargeFile implements OwnContent {
  readonly writer: WriterFolder
  readonly sequence: number
  readonly #name: string
  readonly #file: FillingFile
  #finished: Promise<void> | undefined

  constructor(folder: WriterFolder, sequence: number, atRest?: AtRest) {
    this.writer = folder
    this.sequence = sequence
    this.#name = fileName(sequence, 'big')
    this.#file = new FillingFile({
      open: () => openFile(join(folder.path, this.#name), 'wx'),
      chunks: atRest && new ChunkWriter(atRest, segmentPath(folder.name, sequence, 'big')),
      fullText: 'the disk is full',
    })
  }

  write(chunks: readonly Buffer[]): void | Promise<void> {
    return this.#file.write(chunks)
  }

  /** Resolves when content and name are on disk; that is done once. */
  finish(): Promise<void> {
    return (this.#finished ??= this.#finish())
  }

  async #finish(): Promise<void> {
    const fd = await this.#file.end()
    await Promise.all([syncFile(fd), this.writer.sync()])
    if (!(await hasName(fd))) throw new Error(`${this.#name} was deleted while its content came in`)
    await this.#file.close()
  }

  /** In a folder that was declared dead the record may stand: then another process delivers it and needs the content. */
  async giveUp(): Promise<void> {
    if (!this.writer.isOwn()) return
    await this.#file.stop()
    // What is being finished writes by a descriptor that may be another file's as soon as it is closed.
    await this.#finished?.catch(() => undefined)
    await this.#file.close()
    await this.writer.removeFile(this.#name)
  }
}
