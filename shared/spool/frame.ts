import { crc32 } from 'node:zlib'

import type { MessageId } from '../mail/message-id.ts'

/** `large`: the content lies in a file of its own, `<writer>/<largeFile>.big`. */
export type FrameKind = 'message' | 'large' | 'outcomes'

/**
 * The fixed part before each record. It holds all that a scan needs, so that a spool is indexed without parsing JSON and
 * without reading content. Followed by `metaBytes` of JSON and `contentBytes` of content.
 */
export interface FrameHead {
  readonly kind: FrameKind
  /** First record of its group commit: all records before it were on disk when it was written. */
  readonly startsGroup: boolean
  /** Absent of a record that lies there as it is. Its metadata begins with a wrapper, and `bodyCrc` covers all behind the metadata. */
  readonly wrap: Wrap | undefined
  readonly metaBytes: number
  /** Octets in this segment; 0 for `large` without a wrap. */
  readonly contentBytes: number
  readonly headerBytes: number
  readonly metaCrc: number
  /** Checksum of the content's header section, and of what follows it. */
  readonly headerCrc: number
  readonly bodyCrc: number
  /** Recipients of a message, or outcomes in the record. */
  readonly count: number
  readonly largeFile: number
  /** `receivedAt` of a message, or the time of the newest outcome. */
  readonly at: number
  readonly sizeBytes: number
  /** Empty for outcomes. */
  readonly id: MessageId | ''
}

/** What was done to a record before it was written (record-wrap.ts). */
export interface Wrap {
  readonly compressed: boolean
  readonly encrypted: boolean
  /** The content file is a sequence of chunks (chunk.ts). */
  readonly chunked: boolean
}

/** Octets of a head on disk (little endian). */
export const headBytes = 80

/** Wrapped records are of this schema, others of the one before it; both are read. */
export const schemaVersion = 2

/** First octets of each frame: never valid UTF-8, so that mail text cannot hold them. */
export const frameMagic = Buffer.from([0xf5, 0x53, 0x6c, 0x75])

const kinds: readonly FrameKind[] = ['message', 'large', 'outcomes']
const groupFlag = 1
const compressedFlag = 2
const encryptedFlag = 4
const chunkedFlag = 8
const flagsAt = 6
const checksumsAt = 20
const checksumsEnd = 32
const crcAt = 76

/** By their flags. */
const wraps: readonly Wrap[] = Array.from({ length: 16 }, (_, flags) =>
  Object.freeze({
    compressed: (flags & compressedFlag) !== 0,
    encrypted: (flags & encryptedFlag) !== 0,
    chunked: (flags & chunkedFlag) !== 0,
  }),
)

export function frameBytes(head: Pick<FrameHead, 'metaBytes' | 'contentBytes'>): number {
  return headBytes + head.metaBytes + head.contentBytes
}

/** A head that is complete but for its place: `sealHead` makes it valid. */
export function encodeHead(head: Omit<FrameHead, 'startsGroup'>): Buffer {
  const bytes = Buffer.alloc(headBytes)
  frameMagic.copy(bytes)
  bytes[4] = head.wrap === undefined ? schemaVersion - 1 : schemaVersion
  bytes[5] = kinds.indexOf(head.kind) + 1
  bytes[flagsAt] = flagsOf(head.wrap)
  bytes.writeUInt32LE(head.metaBytes, 8)
  bytes.writeUInt32LE(head.contentBytes, 12)
  bytes.writeUInt32LE(head.headerBytes, 16)
  bytes.writeUInt32LE(head.metaCrc, 20)
  bytes.writeUInt32LE(head.headerCrc, 24)
  bytes.writeUInt32LE(head.bodyCrc, 28)
  bytes.writeUInt32LE(head.count, 32)
  bytes.writeUInt32LE(head.largeFile, 36)
  bytes.writeDoubleLE(head.at, 40)
  bytes.writeDoubleLE(head.sizeBytes, 48)
  bytes.write(head.id, 56, 18, 'latin1')
  return bytes
}

/**
 * Binds a head to its segment: the checksum starts from the segment's path, so that a copy of a frame elsewhere (in a
 * mail's content, in a block the disk misplaced) is no frame.
 */
export function sealHead(bytes: Buffer, seed: number, startsGroup: boolean): void {
  bytes[flagsAt] = ((bytes[flagsAt] ?? 0) & ~groupFlag) | (startsGroup ? groupFlag : 0)
  bytes.writeUInt32LE(crc32(bytes.subarray(0, crcAt), seed), crcAt)
}

/** For a wrapped record, whose octets are known when its place is. */
export function setChecksums(bytes: Buffer, metaCrc: number, bodyCrc: number): void {
  bytes.writeUInt32LE(metaCrc, checksumsAt)
  bytes.writeUInt32LE(bodyCrc, checksumsAt + 8)
}

/** What of a head is known before the record is encrypted and grouped: to be bound to what is encrypted. */
export function boundHead(bytes: Buffer): Buffer {
  const bound = Buffer.from(bytes.subarray(0, crcAt))
  bound[flagsAt] = (bound[flagsAt] ?? 0) & ~groupFlag
  return bound.fill(0, checksumsAt, checksumsEnd)
}

function flagsOf(wrap: Wrap | undefined): number {
  if (wrap === undefined) return 0
  return (
    (wrap.compressed ? compressedFlag : 0) | (wrap.encrypted ? encryptedFlag : 0) | (wrap.chunked ? chunkedFlag : 0)
  )
}

/** What checksums of the heads in a segment start from. */
export function segmentSeed(segment: string): number {
  return crc32(segment)
}

/**
 * Reads the head at the start of `bytes`; `undefined` when it is none or damaged.
 * @throws RangeError for a sound head of a schema that this version cannot read.
 */
export function decodeHead(bytes: Buffer, seed: number): FrameHead | undefined {
  if (bytes.length < headBytes || !frameMagic.equals(bytes.subarray(0, 4))) return undefined
  if (crc32(bytes.subarray(0, crcAt), seed) !== bytes.readUInt32LE(crcAt)) return undefined
  const version = bytes[4] ?? 0
  const kind = kinds[(bytes[5] ?? 0) - 1]
  if (kind === undefined || version > schemaVersion || version < schemaVersion - 1) {
    throw new RangeError(
      `a record of schema ${version} and kind ${bytes[5]}: this version reads schema ${schemaVersion}`,
    )
  }
  const flags = bytes[flagsAt] ?? 0
  return {
    kind,
    startsGroup: (flags & groupFlag) !== 0,
    wrap: version === schemaVersion ? wraps[flags & 15] : undefined,
    metaBytes: bytes.readUInt32LE(8),
    contentBytes: bytes.readUInt32LE(12),
    headerBytes: bytes.readUInt32LE(16),
    metaCrc: bytes.readUInt32LE(20),
    headerCrc: bytes.readUInt32LE(24),
    bodyCrc: bytes.readUInt32LE(28),
    count: bytes.readUInt32LE(32),
    largeFile: bytes.readUInt32LE(36),
    at: bytes.readDoubleLE(40),
    sizeBytes: bytes.readDoubleLE(48),
    id: kind === 'outcomes' ? '' : (bytes.toString('latin1', 56, 74) as MessageId),
  }
}

/** True when metadata and content of a whole frame fit their checksums. */
export function isSound(head: FrameHead, frame: Buffer): boolean {
  if (frame.length !== frameBytes(head)) return false
  const content = headBytes + head.metaBytes
  if (crc32(frame.subarray(headBytes, content)) !== head.metaCrc) return false
  if (head.wrap !== undefined) return crc32(frame.subarray(content)) === head.bodyCrc
  if (head.kind === 'large') return true
  const body = content + head.headerBytes
  return crc32(frame.subarray(content, body)) === head.headerCrc && crc32(frame.subarray(body)) === head.bodyCrc
}
