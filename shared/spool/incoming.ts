import { crc32 } from 'node:zlib'

import type { AppendableRecord, RecordLog, SpoolWriter } from './append-log.ts'
import { frameBytes } from './frame.ts'
import type { FreeSpace } from './free-space.ts'
import { HeaderEnd } from './header-end.ts'
import { wrapMessage } from './record-wrap.ts'
import type { AtRest } from './record-wrap.ts'
import type { IncomingContent, Locator, StoredMessage } from './spool.ts'

export interface IncomingOptions {
  readonly log: RecordLog
  readonly space: Pick<FreeSpace, 'claim' | 'release' | 'forget'>
  readonly streamThresholdBytes: number
  /** Absent: records are written as they are. */
  readonly atRest?: AtRest
  openContent(): Promise<OwnContent>
  /** `beside`: among the files of the writer that has its content. */
  openDraft(beside: OwnContent | undefined): Promise<Draft>
  /** The record is on disk; `pieces` are its content, in buffers of the network. */
  onStored?(message: StoredMessage, locator: Locator, pieces: readonly Buffer[]): void
}

/** The content of a large message on its way into a file of its own. */
export interface OwnContent {
  readonly sequence: number
  readonly writer: SpoolWriter
  /** Takes octets; the promise, if any, is for the caller to wait when what stores is slower than the client. @throws SpoolFullError */
  write(chunks: readonly Buffer[]): void | Promise<void>
  /** Resolves when all of it is stored for good; that is done once. */
  finish(): Promise<void>
  /** Deletes what was written, unless a record that needs it may stand. `hasRecord`: one was being written. */
  giveUp(hasRecord: boolean): Promise<void>
}

/** The record of a message that is not accepted yet. */
export interface Draft {
  /** Below the spool. */
  readonly path: string
  /** Resolves when others can read it. @throws SpoolFullError */
  write(record: AppendableRecord): Promise<void>
  /** Also while it is being written. */
  remove(): Promise<void>
}

/** One message on its way in: collected in memory, beyond the threshold streamed into a file of its own. */
export class Incoming implements IncomingContent {
  readonly #options: IncomingOptions
  readonly #header = new HeaderEnd()
  #sizeBytes = 0
  /** Octets set aside for it. */
  #claimedBytes = 0
  #headerCrc = 0
  #bodyCrc = 0
  #chunks: Buffer[] = []
  #large: OwnContent | undefined
  #becomingLarge: Promise<void> | undefined
  #draft: Draft | undefined
  #hasRecord = false
  #state: 'open' | 'ended' | 'committing' | 'stored' | 'given up' = 'open'

  constructor(options: IncomingOptions) {
    this.#options = options
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  write(chunk: Buffer): void | Promise<void> {
    if (this.#state !== 'open') throw new Error(`content that is ${this.#state} takes no more octets`)
    if (chunk.length === 0) return
    this.#sizeBytes += chunk.length
    this.#count(chunk)
    if (this.#large !== undefined) return this.#writeLarge(this.#large, chunk)
    this.#chunks.push(chunk)
    if (this.#becomingLarge !== undefined) return this.#becomingLarge
    if (this.#sizeBytes > this.#options.streamThresholdBytes) return this.#becomeLarge()
  }

  async draft(message: StoredMessage): Promise<Locator> {
    if (this.#state !== 'open') throw new Error(`content that is ${this.#state} has no draft`)
    this.#state = 'ended'
    const { record, large } = await this.#ready(message)
    const draft = await this.#options.openDraft(large)
    if (this.#isGivenUp()) throw new Error('the content was given up')
    this.#draft = draft
    await draft.write(record)
    const { headerBytes } = this.#header
    return {
      segment: draft.path,
      offset: 0,
      recordBytes: frameBytes(record.head),
      sizeBytes: this.#sizeBytes,
      headerBytes,
    }
  }

  async commit(message: StoredMessage): Promise<Locator> {
    if (this.#state !== 'open' && this.#state !== 'ended')
      throw new Error(`content that is ${this.#state} cannot be committed`)
    this.#state = 'committing'
    try {
      const locator = await this.#append(message)
      this.#state = 'stored'
      this.#release()
      void this.#draft?.remove().catch(() => undefined)
      return locator
    } catch (error) {
      await this.#giveUp()
      throw error
    }
  }

  async abort(): Promise<void> {
    if (this.#state === 'open' || this.#state === 'ended') await this.#giveUp()
  }

  async #append(message: StoredMessage): Promise<Locator> {
    const { record, large } = await this.#ready(message)
    const recordBytes = frameBytes(record.head)
    const { headerBytes } = this.#header
    this.#hasRecord = true
    const position = await this.#options.log.append(record)
    const chunks = this.#chunks
    this.#chunks = []
    const locator = { ...position, recordBytes, sizeBytes: this.#sizeBytes, headerBytes }
    if (large === undefined) this.#options.onStored?.(message, locator, chunks)
    return locator
  }

  /** The record, with space for it, and its large content on disk. */
  async #ready(message: StoredMessage): Promise<{ readonly record: AppendableRecord; readonly large?: OwnContent }> {
    await this.#becomingLarge
    const large = this.#large
    const plain = this.#record(message, large, Buffer.from(JSON.stringify(message)))
    const { atRest } = this.#options
    const record = atRest === undefined ? plain : await wrapMessage(atRest, plain)
    const wait = this.#claim(frameBytes(record.head))
    if (wait !== undefined) await wait
    await large?.finish()
    return { record, ...(large === undefined ? {} : { large }) }
  }

  #record({ envelope }: StoredMessage, large: OwnContent | undefined, meta: Buffer): AppendableRecord {
    return {
      head: {
        kind: large === undefined ? 'message' : 'large',
        wrap: undefined,
        metaBytes: meta.length,
        contentBytes: large === undefined ? this.#sizeBytes : 0,
        headerBytes: this.#header.headerBytes,
        metaCrc: crc32(meta),
        headerCrc: this.#headerCrc,
        bodyCrc: this.#bodyCrc,
        count: envelope.recipients.length,
        largeFile: large?.sequence ?? 0,
        at: envelope.receivedAt,
        sizeBytes: this.#sizeBytes,
        id: envelope.id,
      },
      meta,
      content: this.#chunks,
      writer: large?.writer,
    }
  }

  #count(chunk: Buffer): void {
    const inHeader = this.#header.take(chunk)
    if (inHeader > 0) this.#headerCrc = crc32(chunk.subarray(0, inHeader), this.#headerCrc)
    if (inHeader < chunk.length) this.#bodyCrc = crc32(chunk.subarray(inHeader), this.#bodyCrc)
  }

  #becomeLarge(): Promise<void> {
    this.#becomingLarge = this.#openLarge().finally(() => {
      this.#becomingLarge = undefined
    })
    return this.#becomingLarge
  }

  async #openLarge(): Promise<void> {
    const large = await this.#options.openContent()
    await this.#claim(this.#sizeBytes)
    const wait = large.write(this.#chunks)
    this.#large = large
    this.#chunks = []
    if (wait !== undefined) await wait
  }

  #writeLarge(large: OwnContent, chunk: Buffer): void | Promise<void> {
    const space = this.#claim(chunk.length)
    const disk = large.write([chunk])
    return space === undefined ? disk : space.then(() => disk)
  }

  #claim(bytes: number): void | Promise<void> {
    const wait = this.#options.space.claim(bytes)
    if (wait !== undefined) return wait.then(() => this.#claimed(bytes))
    this.#claimed(bytes)
  }

  #claimed(bytes: number): void {
    if (this.#state === 'given up') this.#options.space.release(bytes)
    else this.#claimedBytes += bytes
  }

  #release(): void {
    this.#options.space.release(this.#claimedBytes)
    this.#claimedBytes = 0
  }

  /** Asked behind an await, during which it may have become so. */
  #isGivenUp(): boolean {
    return this.#state === 'given up'
  }

  /** Never rejects: what cannot be deleted now, cleaning finds. */
  async #giveUp(): Promise<void> {
    this.#state = 'given up'
    await this.#becomingLarge?.catch(() => undefined)
    this.#chunks = []
    await this.#draft?.remove().catch(() => undefined)
    await this.#large?.giveUp(this.#hasRecord).catch(() => undefined)
    if (this.#claimedBytes > 0) this.#options.space.forget()
    this.#release()
  }
}
