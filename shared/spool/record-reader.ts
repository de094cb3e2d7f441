import { join } from 'node:path'
import { Readable } from 'node:stream'
import { crc32 } from 'node:zlib'

import { ChunkedMessage } from './chunked-message.ts'
import { FileCache } from './file-cache.ts'
import { readFully, withFile as withOpened } from './file-io.ts'
import { decodeHead, frameBytes, headBytes, isSound, segmentSeed } from './frame.ts'
import type { FrameHead } from './frame.ts'
import { hasCode } from './free-space.ts'
import { Keyring, SpoolKeyError } from './keyring.ts'
import { unwrapMessage } from './record-wrap.ts'
import type { Unwrapped } from './record-wrap.ts'
import { parseSegmentPath, relocatedFile, relocatedRecord, segmentPath } from './segment-name.ts'
import { SpoolReadError } from './spool.ts'
import type { Locator, SpooledMessage, StoredMessage } from './spool.ts'

/** Reads message records of all writers by their locators, wherever the cleaning moved them. */
export class RecordReader {
  readonly #path: string
  readonly #keyring: Keyring
  readonly #files: FileCache
  readonly #origin: CopiedFrom | undefined

  constructor(path: string, { keyring = new Keyring([]), openFiles = 128, origin }: RecordReaderOptions = {}) {
    this.#path = path
    this.#keyring = keyring
    this.#files = new FileCache(openFiles)
    this.#origin = origin
  }

  /**
   * One pread for a small message.
   * @throws SpoolReadError when the record is gone or damaged; SpoolKeyError when its key is not known
   */
  async read(locator: Locator): Promise<SpooledMessage> {
    try {
      return await this.#read(locator)
    } catch (error) {
      if (!(error instanceof DamageError) || this.#origin === undefined) throw error
      await this.#drop(locator.segment)
      return this.#read(locator)
    }
  }

  async #read(locator: Locator): Promise<SpooledMessage> {
    const frame = await this.frame(locator)
    const head = soundHead(locator, frame)
    const { meta, content } = head.wrap === undefined ? partsOf(head, frame) : await this.#unwrap(locator, head, frame)
    const stored = JSON.parse(meta.toString()) as StoredMessage
    const place = { ...locator, sizeBytes: head.sizeBytes, headerBytes: head.headerBytes }
    if (head.kind === 'message') return new SmallMessage(stored, place, content)
    const file = this.#contentFile(locator, head)
    if (head.wrap === undefined) return new LargeMessage(stored, place, head, file)
    return new ChunkedMessage(stored, place, { head, keyring: this.#keyring, ...file })
  }

  async #unwrap(locator: Locator, head: FrameHead, frame: Buffer): Promise<Unwrapped> {
    try {
      return await unwrapMessage(this.#keyring, head, frame, locator)
    } catch (error) {
      if (error instanceof SpoolKeyError) throw error
      throw new DamageError(`the record at ${locator.offset} of ${locator.segment} is damaged`, { cause: error })
    }
  }

  /** A copy that is damaged is made anew when it is read next. */
  async #drop(file: string): Promise<void> {
    this.#files.drop(join(this.#path, file))
    await this.#origin?.drop(file)
  }

  /** The record as it lies on disk, unchecked. @throws SpoolReadError when it is gone. */
  async frame(locator: Locator): Promise<Buffer> {
    const extension = parseSegmentPath(locator.segment)?.extension
    if ((extension !== 'msg' && extension !== 'draft') || locator.recordBytes < headBytes) {
      throw new SpoolReadError(`${locator.segment} is not a place in the spool`)
    }
    if (extension === 'draft') return this.#draft(locator)
    const { segment, offset, recordBytes } = locator
    return this.#wherever(segment, relocatedRecord(segment, offset), (fd, isMoved) =>
      readFrame(fd, isMoved ? 0 : offset, recordBytes),
    )
  }

  /** Runs `use` with the file, the same when it was fetched, or what it was moved to. @throws SpoolReadError when it is gone */
  async #wherever<T>(file: string, moved: string, use: (fd: number, isMoved: boolean) => Promise<T>): Promise<T> {
    const here = (fd: number): Promise<T> => use(fd, false)
    let found = await this.#whenThere(file, here)
    if (found === undefined && (await this.#origin?.fetch(file)) === true) found = await this.#whenThere(file, here)
    found ??= await this.#whenThere(moved, (fd) => use(fd, true))
    if (found === undefined) throw new SpoolReadError(`${file} is gone`)
    return found.result
  }

  async #whenThere<T>(file: string, use: (fd: number) => Promise<T>): Promise<{ readonly result: T } | undefined> {
    try {
      return { result: await this.#files.with(join(this.#path, file), use) }
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return undefined
      throw error
    }
  }

  closeIdle(): void {
    this.#files.closeIdle()
  }

  close(): void {
    this.#files.close()
  }

  /** Read once, and by one: it is not kept open. */
  async #draft({ segment, recordBytes }: Locator): Promise<Buffer> {
    const read = (): Promise<Buffer | undefined> =>
      withOpened(join(this.#path, segment), (fd) => readFrame(fd, 0, recordBytes))
    const found = (await read()) ?? ((await this.#origin?.fetch(segment)) === true ? await read() : undefined)
    if (found === undefined) throw new SpoolReadError(`${segment} is gone`)
    return found
  }

  #contentFile(locator: Locator, head: FrameHead): ContentFile {
    const writer = parseSegmentPath(locator.segment)?.writer ?? ''
    const file = segmentPath(writer, head.largeFile, 'big')
    return {
      file,
      withFile: (use) => this.#wherever(file, relocatedFile(file), use),
      drop: () => this.#drop(file),
    }
  }
}

export interface RecordReaderOptions {
  /** The keys of encrypted records; none when absent. */
  readonly keyring?: Keyring
  readonly openFiles?: number
  /** Absent: the files in the folder are no copies. */
  readonly origin?: CopiedFrom
}

/** Where the files of a folder were copied from. */
export interface CopiedFrom {
  /** Brings a file that is not in the folder; false when it is nowhere. */
  fetch(file: string): Promise<boolean>
  /** Deletes the copy. */
  drop(file: string): Promise<void>
}

/** A message whose content is in memory. */
export class SmallMessage implements SpooledMessage {
  readonly envelope: StoredMessage['envelope']
  readonly edits: StoredMessage['edits']
  readonly revision: string
  readonly locator: Locator
  readonly #content: Buffer

  constructor(stored: StoredMessage, locator: Locator, content: Buffer) {
    this.envelope = stored.envelope
    this.edits = stored.edits
    this.revision = stored.revision
    this.locator = locator
    this.#content = content
  }

  async header(): Promise<Buffer> {
    return this.#content.subarray(0, this.locator.headerBytes)
  }

  async content(): Promise<Buffer> {
    return this.#content
  }

  stream(start = 0): Readable {
    const rest = this.#content.subarray(start)
    return Readable.from(rest.length > 0 ? [rest] : [], { objectMode: false })
  }
}

class LargeMessage implements SpooledMessage {
  readonly envelope: StoredMessage['envelope']
  readonly edits: StoredMessage['edits']
  readonly revision: string
  readonly locator: Locator
  readonly #head: FrameHead
  readonly #file: ContentFile

  constructor(stored: StoredMessage, locator: Locator, head: FrameHead, file: ContentFile) {
    this.envelope = stored.envelope
    this.edits = stored.edits
    this.revision = stored.revision
    this.locator = locator
    this.#head = head
    this.#file = file
  }

  async header(): Promise<Buffer> {
    const header = await this.#read(0, this.#head.headerBytes)
    await this.#check(header, this.#head.headerCrc)
    return header
  }

  async content(): Promise<Buffer> {
    const content = await this.#read(0, this.#head.sizeBytes)
    await this.#check(content.subarray(0, this.#head.headerBytes), this.#head.headerCrc)
    await this.#check(content.subarray(this.#head.headerBytes), this.#head.bodyCrc)
    return content
  }

  /** Checks the header section, the body, or both, when it begins at their start; a mismatch destroys the stream. */
  stream(start = 0): Readable {
    return Readable.from(this.#chunks(start), { objectMode: false, highWaterMark: chunkBytes })
  }

  async *#chunks(start: number): AsyncGenerator<Buffer> {
    const { headerBytes, headerCrc, sizeBytes, bodyCrc } = this.#head
    yield* this.#part(start, headerBytes, start === 0 ? headerCrc : undefined)
    const bodyStart = Math.max(start, headerBytes)
    yield* this.#part(bodyStart, sizeBytes, bodyStart === headerBytes ? bodyCrc : undefined)
  }

  async *#part(start: number, end: number, expectedCrc: number | undefined): AsyncGenerator<Buffer> {
    let crc = 0
    for (let offset = start; offset < end;) {
      const chunk = await this.#read(offset, Math.min(chunkBytes, end - offset))
      if (expectedCrc !== undefined) crc = crc32(chunk, crc)
      offset += chunk.length
      if (offset === end && expectedCrc !== undefined && crc !== expectedCrc) throw await this.#damaged()
      yield chunk
    }
  }

  async #read(offset: number, bytes: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafeSlow(bytes)
    const count = await this.#file.withFile((fd) => readFully(fd, buffer, offset))
    if (count < bytes) throw await this.#damaged()
    return buffer
  }

  async #check(octets: Buffer, expectedCrc: number): Promise<void> {
    if (crc32(octets) !== expectedCrc) throw await this.#damaged()
  }

  async #damaged(): Promise<SpoolReadError> {
    await this.#file.drop()
    return new SpoolReadError(`the content of ${this.envelope.id} is damaged`)
  }
}

async function readFrame(fd: number, offset: number, bytes: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(bytes)
  return buffer.subarray(0, await readFully(fd, buffer, offset))
}

function partsOf(head: FrameHead, frame: Buffer): Unwrapped {
  const behind = headBytes + head.metaBytes
  return { meta: frame.subarray(headBytes, behind), content: frame.subarray(behind) }
}

/** The file of a large content. */
export interface ContentFile {
  /** Its path below the spool folder as it was when it was written. */
  readonly file: string
  /** Runs something with the open file, wherever it lies now. */
  withFile<T>(use: (fd: number) => Promise<T>): Promise<T>
  /** It is damaged: if it is a copy, another is made when it is read next. */
  drop(): Promise<void>
}

/** What lies there is not what was written. */
class DamageError extends SpoolReadError {}

const chunkBytes = 128 * 1024

function soundHead(locator: Locator, frame: Buffer): FrameHead {
  const place = `the record at ${locator.offset} of ${locator.segment}`
  const head = readHead(place, frame, segmentSeed(locator.segment))
  if (head === undefined || head.kind === 'outcomes' || frame.length !== frameBytes(head) || !isSound(head, frame)) {
    throw new DamageError(`${place} is damaged`)
  }
  return head
}

function readHead(place: string, frame: Buffer, seed: number): FrameHead | undefined {
  try {
    return decodeHead(frame, seed)
  } catch (error) {
    throw new SpoolReadError(`${place} cannot be read`, { cause: error })
  }
}
