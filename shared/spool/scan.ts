import { fileSize, readFully } from './file-io.ts'
import { decodeHead, frameBytes, frameMagic, headBytes, isSound, segmentSeed } from './frame.ts'
import type { FrameHead } from './frame.ts'

export interface ScannedFrame {
  readonly head: FrameHead
  readonly offset: number
  /** The content, only when the scan was asked for it; to be copied by who keeps it. */
  readonly content: Buffer
}

/** Octets between sound records that are none: the disk, or somebody, changed what was once written. */
export interface Damage {
  readonly segment: string
  readonly offset: number
  readonly bytes: number
  readonly reason: string
}

export interface ScanOptions {
  readonly fd: number
  readonly segment: string
  /** Where to begin; the end of the last scan. */
  readonly from: number
  /** Hand out the content and check every record; else only the last group commit is checked as a whole. */
  readonly withContent?: boolean
  visit(frame: ScannedFrame): void
  onDamage(damage: Damage): void
}

export interface ScanResult {
  /** Behind the last sound record: where the next scan begins. */
  readonly end: number
  /** Octets of the file. */
  readonly size: number
}

/**
 * Goes through the records of a segment. What follows the last sound record is a torn tail or a write under way: never
 * acknowledged, left out. Records before the last group commit were on disk before that began; they are checked when they
 * are read. A gap with sound records behind it is damage, and is reported.
 */
export async function scanSegment(options: ScanOptions): Promise<ScanResult> {
  const { fd, segment, from, withContent = false, visit, onDamage } = options
  const size = await fileSize(fd)
  const seed = segmentSeed(segment)
  const window = new Window(fd, size)
  let offset = from
  let end = from
  let group: ScannedFrame[] = []

  const passOn = (frame: ScannedFrame): void => {
    if (frame.offset > end) onDamage({ segment, offset: end, bytes: frame.offset - end, reason: 'no sound record' })
    end = frame.offset + frameBytes(frame.head)
    visit(frame)
  }

  const finishGroup = async (): Promise<void> => {
    for (const frame of group) {
      const bytes = await window.read(frame.offset, frameBytes(frame.head))
      if (!isSound(frame.head, bytes)) continue
      passOn(withContent ? { ...frame, content: bytes.subarray(headBytes + frame.head.metaBytes) } : frame)
    }
    group = []
  }

  while (offset + headBytes <= size) {
    const head = readHead(await window.read(offset, headBytes), seed, (reason) => {
      onDamage({ segment, offset, bytes: headBytes, reason })
    })
    if (head === undefined || offset + frameBytes(head) > size) {
      const next = await nextHead(window, offset + 1, seed)
      if (next === undefined) break
      offset = next
      continue
    }
    if (withContent) await finishGroup()
    else if (head.startsGroup) {
      for (const frame of group) passOn(frame)
      group = []
    }
    group.push({ head, offset, content: noContent })
    offset += frameBytes(head)
  }
  await finishGroup()
  return { end, size }
}

const noContent = Buffer.alloc(0)

/** A record of a schema this version cannot read is reported wherever it stands: it is no torn tail. */
function readHead(bytes: Buffer, seed: number, onUnreadable: (reason: string) => void): FrameHead | undefined {
  try {
    return decodeHead(bytes, seed)
  } catch (error) {
    onUnreadable(error instanceof Error ? error.message : String(error))
    return undefined
  }
}

/** Looks for a sound head from `start` on. */
async function nextHead(window: Window, start: number, seed: number): Promise<number | undefined> {
  for (let offset = start; offset + headBytes <= window.size;) {
    const bytes = await window.read(offset, Math.min(searchBytes, window.size - offset))
    const found = bytes.indexOf(frameMagic)
    if (found < 0) {
      offset += Math.max(1, bytes.length - frameMagic.length + 1)
      continue
    }
    offset += found
    const head = readHead(await window.read(offset, headBytes), seed, () => undefined)
    if (head !== undefined && offset + frameBytes(head) <= window.size) return offset
    offset += 1
  }
  return undefined
}

const searchBytes = 256 * 1024
const readAheadBytes = 512 * 1024
const sequentialBelowBytes = 16 * 1024

/** A moving view of a file: reads far ahead while records are small, and only what is asked for where contents are passed over. */
class Window {
  readonly size: number
  readonly #fd: number
  #buffer: Buffer = noContent
  #start = 0
  #strideBytes = 0
  #lastOffset = 0

  constructor(fd: number, size: number) {
    this.#fd = fd
    this.size = size
  }

  /** The octets from `offset` on, fewer at the end of the file. Valid until the next call. */
  read(offset: number, bytes: number): Buffer | Promise<Buffer> {
    const from = offset - this.#start
    if (from >= 0 && from + bytes <= this.#buffer.length) return this.#buffer.subarray(from, from + bytes)
    return this.#load(offset, bytes)
  }

  async #load(offset: number, bytes: number): Promise<Buffer> {
    this.#strideBytes = this.#strideBytes * 0.75 + Math.max(0, offset - this.#lastOffset - this.#buffer.length) * 0.25
    this.#lastOffset = offset
    const ahead = this.#strideBytes < sequentialBelowBytes ? readAheadBytes : 4096
    const wanted = Math.min(Math.max(bytes, ahead), Math.max(0, this.size - offset))
    const buffer = Buffer.allocUnsafeSlow(wanted)
    const count = await readFully(this.#fd, buffer, offset)
    this.#buffer = buffer.subarray(0, count)
    this.#start = offset
    return this.#buffer.subarray(0, Math.min(bytes, count))
  }
}
