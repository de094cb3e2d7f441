import { crc32 } from 'node:zlib'

import type { AppendableRecord, Position } from './append-log.ts'
import { compress, decompress } from './compression.ts'
import { boundHead, headBytes, setChecksums } from './frame.ts'
import type { FrameHead } from './frame.ts'
import type { Keyring, SpoolKey } from './keyring.ts'
import { keyIdOf, seal, sealBytes, unseal } from './sealing.ts'

/** What is done to records before they are written: at least one of both. */
export interface AtRest {
  readonly compresses: boolean
  /** Absent: nothing is encrypted. */
  readonly key?: SpoolKey
}

/** @throws Error when the records are to be encrypted and there is no key */
export function atRestOf({
  compression = false,
  encryption = false,
  keyring,
}: {
  readonly compression?: boolean
  readonly encryption?: boolean
  readonly keyring?: Keyring
}): AtRest | undefined {
  const key = encryption ? keyring?.first : undefined
  if (encryption && key === undefined) throw new Error('no key to encrypt the spool with')
  if (!compression && key === undefined) return undefined
  return { compresses: compression, ...(key !== undefined && { key }) }
}

/**
 * Wraps a message record: behind the head `wrapperBytes` octets (length of the metadata, then the seal), then metadata and content as
 * one, compressed and encrypted. The record itself when it is best written as it is.
 */
export async function wrapMessage({ compresses, key }: AtRest, plain: AppendableRecord): Promise<AppendableRecord> {
  const { meta, content } = plain
  const packed = compresses ? await compress(Buffer.concat([meta, ...content])) : undefined
  const isLarge = plain.head.kind === 'large'
  if (packed === undefined && key === undefined && !isLarge) return plain
  const payload = packed === undefined ? [meta, ...content] : [packed]
  const wrapper = newWrapper(meta)
  const wrap = { compressed: packed !== undefined, encrypted: key !== undefined, chunked: isLarge }
  return {
    ...plain,
    head: { ...plain.head, wrap, metaBytes: wrapperBytes, contentBytes: octetsOf(payload), ...noChecksums },
    meta: wrapper,
    content: payload,
    wrapAt: (bytes, place) => {
      const stored = sealInto(key, { wrapper, payload, clear: [], bytes, file: place.segment, place })
      setChecksums(bytes, crc32(wrapper), crcOf(stored))
      return [wrapper, ...stored]
    },
  }
}

/** Encrypts a record of outcomes but for its keys: they name no person, and every index reads them. */
export function encryptOutcomes(key: SpoolKey, plain: AppendableRecord): AppendableRecord {
  const wrapper = newWrapper(plain.meta)
  const wrap = { compressed: false, encrypted: true, chunked: false }
  return {
    head: { ...plain.head, wrap, metaBytes: wrapperBytes + plain.meta.length, ...noChecksums },
    meta: wrapper,
    content: [plain.meta, ...plain.content],
    wrapAt: (bytes, { segment }) => {
      const parts = { wrapper, payload: [plain.meta], clear: plain.content, bytes, file: segment, place: undefined }
      const stored = sealInto(key, parts)
      setChecksums(bytes, crc32(stored[0] ?? wrapper, crc32(wrapper)), plain.head.bodyCrc)
      return [wrapper, ...stored, ...plain.content]
    },
  }
}

/** Metadata and content of a record. */
export interface Unwrapped {
  readonly meta: Buffer
  readonly content: Buffer
}

/**
 * The metadata and content of a sound frame of a wrapped message, as they were before.
 * @throws SpoolKeyError when its key is not in the ring; Error when it was changed, or belongs elsewhere
 */
export async function unwrapMessage(
  keyring: Keyring,
  head: FrameHead,
  frame: Buffer,
  place: Position,
): Promise<Unwrapped> {
  const behind = headBytes + head.metaBytes
  const { compressed = false, encrypted = false } = head.wrap ?? {}
  const wrapper = frame.subarray(headBytes, behind)
  if (wrapper.length !== wrapperBytes) throw new RangeError('the wrapper is damaged')
  const stored = frame.subarray(behind)
  const bound = boundTo(frame, wrapper, [], place)
  const payload = encrypted
    ? unseal(keyring, { seal: sealOf(wrapper), octets: stored, file: place.segment, bound })
    : stored
  const metaBytes = wrapper.readUInt32LE(0)
  const plainBytes = metaBytes + (head.kind === 'large' ? 0 : head.sizeBytes)
  const octets = compressed ? await decompress(payload, plainBytes) : payload
  if (octets.length !== plainBytes) throw new RangeError('the wrapper does not fit the record')
  return { meta: octets.subarray(0, metaBytes), content: octets.subarray(metaBytes) }
}

/** The metadata of a sound frame of outcomes. Throws as `unwrapMessage` does. */
export function unwrapOutcomes(keyring: Keyring, head: FrameHead, frame: Buffer, log: string): Buffer {
  const behind = headBytes + head.metaBytes
  if (head.wrap?.encrypted !== true) return frame.subarray(headBytes, behind)
  const wrapper = frame.subarray(headBytes, headBytes + wrapperBytes)
  const octets = frame.subarray(headBytes + wrapperBytes, behind)
  const bound = boundTo(frame, wrapper, [frame.subarray(behind)], undefined)
  return unseal(keyring, { seal: sealOf(wrapper), octets, file: log, bound })
}

/** The name of the key of an encrypted record, from what follows its head. */
export function keyIdOfRecord(wrapper: Buffer): string {
  return keyIdOf(sealOf(wrapper))
}

/** Octets of the wrapper. */
export const wrapperBytes = 4 + sealBytes

function newWrapper(meta: Buffer): Buffer {
  const wrapper = Buffer.alloc(wrapperBytes)
  wrapper.writeUInt32LE(meta.length)
  return wrapper
}

/** Until the place is known; those of the plain octets would tell something of them. */
const noChecksums = { metaCrc: 0, headerCrc: 0, bodyCrc: 0 }

interface Parts {
  readonly wrapper: Buffer
  readonly payload: readonly Buffer[]
  readonly clear: readonly Buffer[]
  /** The head. */
  readonly bytes: Buffer
  readonly file: string
  /** Absent for outcomes: cleaning copies them to another place, and they name their message themselves. */
  readonly place: Position | undefined
}

function sealInto(
  key: SpoolKey | undefined,
  { wrapper, payload, clear, bytes, file, place }: Parts,
): readonly Buffer[] {
  if (key === undefined) return payload
  const bound = boundTo(bytes, wrapper, clear, place)
  return seal(key, { seal: sealOf(wrapper), octets: payload, file, bound })
}

function boundTo(
  head: Buffer,
  wrapper: Buffer,
  clear: readonly Buffer[],
  place: Position | undefined,
): readonly Buffer[] {
  const offset = Buffer.alloc(8)
  if (place !== undefined) offset.writeDoubleLE(place.offset)
  return [boundHead(head), wrapper.subarray(0, 4), offset, ...clear]
}

function sealOf(wrapper: Buffer): Buffer {
  return wrapper.subarray(4, wrapperBytes)
}

function octetsOf(pieces: readonly Buffer[]): number {
  return pieces.reduce((sum, { length }) => sum + length, 0)
}

function crcOf(pieces: readonly Buffer[]): number {
  return pieces.reduce((crc, piece) => crc32(piece, crc), 0)
}
