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
  readonly #fetch: (file: string) => Promise<boolean>

  constructor(path: string, { keyring = new Keyring([]), openFiles = 128, fetch }: RecordReaderOptions = {}) {
    this.#path = path
    this.#keyring = keyring
    this.#files = new FileCache(openFiles)
    this.#fetch = fetch ?? (async () => false)
  }

  /**
   * One pread for a small message.
   * @throws SpoolReadError when the record is gone or damaged; SpoolKeyError when its key is not known
   */
  async read(locator: Locator): Promise<SpooledMessage> {
    const frame = await this.frame(locator)
    const head = soundHead(locator, frame)
    const { meta, content } = head.wrap === undefined ? partsOf(head, frame) : await this.#unwrap(locator, head, frame)
    const stored = JSON.parse(meta.toString()) as StoredMessage
    const place = { ...locator, sizeBytes: head.sizeBytes, headerBytes: head.headerBytes }
    if (head.kind === 'message') return new SmallMessage(stored, place, content)
    const { file, withFile } = this.#contentFile(locator, head)
    if (head.wrap === undefined) return new LargeMessage(stored, place, head, withFile)
    return new ChunkedMessage(stored, place, { head, keyring: this.#keyring, file, withFile })
  }

  async #unwrap(locator: Locator, head: FrameHead, frame: Buffer): Promise<Unwrapped> {
    try {
      return await unwrapMessage(this.#keyring, head, frame, locator)
    } catch (error) {
      if (error instanceof SpoolKeyError) throw error
      throw new SpoolReadError(`the record at ${locator.offset} of ${locator.segment} is damaged`, { cause: error })
    }
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
    if (found === undefined && (await this.#fetch(file))) found = await this.#whenThere(file, here)
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
    const found = (await read()) ?? ((await this.#fetch(segment)) ? await read() : undefined)
    if (found === undefined) throw new SpoolReadError(`${segment} is gone`)
    return found
  }

  /** `file`: its path when it was written. */
  #contentFile(locator: Locator, head: FrameHead): { readonly file: string; readonly withFile: ContentFile } {
    const writer = parseSegmentPath(locator.segment)?.writer ?? ''
    const path = segmentPath(writer, head.largeFile, 'big')
    const withFile: ContentFile = (use) => this.#wherever(path, relocatedFile(path), use)
    return { file: path, withFile }
  }
}

export interface RecordReaderOptions {
  /** The keys of encrypted records; none when absent. */
  readonly keyring?: Keyring
  readonly openFiles?: number
  /** Brings a file that is not in the folder; false when it is nowhere. Absent: all files are in the folder. */
  fetch?(file: string): Promise<boolean>
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
  readonly #withFile: ContentFile

  constructor(stored: StoredMessage, locator: Locator, head: FrameHead, withFile: ContentFile) {
    this.envelope = stored.envelope
    this.edits = stored.edits
    this.revision = stored.revision
    this.locator = locator
    this.#head = head
    this.#withFile = withFile
  }

  async header(): Promise<Buffer> {
    const header = await this.#read(0, this.#head.headerBytes)
    this.#check(header, this.#head.headerCrc)
    return header
  }

  async content(): Promise<Buffer> {
    const content = await this.#read(0, this.#head.sizeBytes)
    this.#check(content.subarray(0, this.#head.headerBytes), this.#head.headerCrc)
    this.#check(content.subarray(this.#head.headerBytes), this.#head.bodyCrc)
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
      if (offset === end && expectedCrc !== undefined && crc !== expectedCrc) throw this.#damaged()
      yield chunk
    }
  }

  async #read(offset: number, bytes: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafeSlow(bytes)
    const count = await this.#withFile((fd) => readFully(fd, buffer, offset))
    if (count < bytes) throw this.#damaged()
    return buffer
  }

  #check(octets: Buffer, expectedCrc: number): void {
    if (crc32(octets) !== expectedCrc) throw this.#damaged()
  }

  #damaged(): SpoolReadError {
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

/** Runs something with the open content file, wherever it lies now. */
type ContentFile = <T>(use: (fd: number) => Promise<T>) => Promise<T>

const chunkBytes = 128 * 1024

function soundHead(locator: Locator, frame: Buffer): FrameHead {
  const place = `the record at ${locator.offset} of ${locator.segment}`
  const head = readHead(place, frame, segmentSeed(locator.segment))
  if (head === undefined || head.kind === 'outcomes' || frame.length !== frameBytes(head) || !isSound(head, frame)) {
    throw new SpoolReadError(`${place} is damaged`)
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
