import type { Look, Place, Search } from './search.ts'

const markBytes = 8
/** Longer ones are no header of a file that has a name. */
const mostHeaderBytes = 65_536

/** What one header says. */
interface Block {
  readonly headerBytes: number
  readonly dataBytes: number
  readonly name?: string
  readonly isEncrypted?: boolean
  /** Nothing that can be read follows. */
  readonly isLast?: boolean
}

/** The names of the files in a RAR archive, of version 5 or 4; they are not unpacked. */
export class RarLook implements Look {
  readonly #search: Search
  readonly #place: Place
  #rest: Buffer = Buffer.alloc(0)
  #left = 0
  #read: ((octets: Buffer) => Block | 'more' | undefined) | undefined
  #isOver = false

  constructor(search: Search, place: Place) {
    this.#search = search
    this.#place = place
  }

  write(octets: Buffer): Promise<void> {
    if (this.#isOver) return Promise.resolve()
    const skipped = Math.min(this.#left, octets.length)
    this.#left -= skipped
    this.#rest = Buffer.concat([this.#rest, octets.subarray(skipped)])
    if (this.#read === undefined && this.#rest.length >= markBytes) this.#begin()
    if (this.#read !== undefined) this.#blocks(this.#read)
    return Promise.resolve()
  }

  end(): Promise<void> {
    return Promise.resolve()
  }

  #begin(): void {
    const isFifth = this.#rest[6] === 1
    this.#read = isFifth ? readFifth : readFourth
    this.#rest = this.#rest.subarray(isFifth ? markBytes : markBytes - 1)
  }

  /** @throws LimitReached */
  #blocks(read: (octets: Buffer) => Block | 'more' | undefined): void {
    while (this.#left === 0 && !this.#isOver) {
      const block = read(this.#rest)
      if (block === 'more' && this.#rest.length <= mostHeaderBytes) return
      if (block === 'more' || block === undefined) return this.#giveUp('damaged')
      if (block.name !== undefined) this.#search.countFile(block.name, this.#place)
      if (block.isEncrypted) this.#search.report({ kind: 'encrypted', text: block.name ?? 'names' }, this.#place)
      if (block.isLast) return this.#close()
      const skipped = block.headerBytes + block.dataBytes
      this.#left = Math.max(0, skipped - this.#rest.length)
      this.#rest = this.#rest.subarray(Math.min(skipped, this.#rest.length))
    }
  }

  #giveUp(text: string): void {
    this.#search.report({ kind: 'unreadable', text }, this.#place)
    this.#close()
  }

  #close(): void {
    this.#isOver = true
    this.#rest = Buffer.alloc(0)
  }
}

/** Reads the numbers of RAR 5, seven bits in each octet, the lowest first; undefined: the octets end before. */
class Numbers {
  at: number
  readonly #octets: Buffer

  constructor(octets: Buffer, at: number) {
    this.#octets = octets
    this.at = at
  }

  next(): number | undefined {
    let value = 0
    for (let shift = 0; shift < 49; shift += 7) {
      const octet = this.#octets[this.at]
      if (octet === undefined) return undefined
      this.at += 1
      value += (octet & 0x7f) * 2 ** shift
      if (octet < 0x80) return value
    }
    return undefined
  }
}

/** RAR 5.0 archive format, general archive layout; undefined: it is none. */
function readFifth(octets: Buffer): Block | 'more' | undefined {
  const numbers = new Numbers(octets, 4)
  const size = numbers.next()
  if (size === undefined) return octets.length > 14 ? undefined : 'more'
  const end = numbers.at + size
  if (size > mostHeaderBytes || size === 0) return undefined
  if (octets.length < end) return 'more'
  const header = new Numbers(octets.subarray(0, end), numbers.at)
  const type = header.next()
  const flags = header.next() ?? 0
  const extraBytes = flags & 1 ? (header.next() ?? 0) : 0
  const dataBytes = flags & 2 ? (header.next() ?? 0) : 0
  const block = { headerBytes: end, dataBytes }
  if (type === 4) return { ...block, isEncrypted: true, isLast: true }
  if (type === 5) return { ...block, isLast: true }
  if (type !== 2) return block
  const fileFlags = header.next() ?? 0
  for (let skipped = 0; skipped < 2; skipped += 1) header.next()
  header.at += (fileFlags & 2 ? 4 : 0) + (fileFlags & 4 ? 4 : 0)
  for (let skipped = 0; skipped < 2; skipped += 1) header.next()
  const nameBytes = header.next()
  if (nameBytes === undefined) return undefined
  const name = octets.toString('utf8', header.at, Math.min(end, header.at + nameBytes))
  return { ...block, name, isEncrypted: isEncryptedFile(octets.subarray(Math.max(0, end - extraBytes), end)) }
}

/** The extra area has a record of encryption. */
function isEncryptedFile(extra: Buffer): boolean {
  const records = new Numbers(extra, 0)
  for (;;) {
    const size = records.next()
    if (size === undefined || size === 0) return false
    const next = records.at + size
    if (records.next() === 1) return true
    records.at = next
  }
}

/** RAR 2.9 to 4. */
function readFourth(octets: Buffer): Block | 'more' | undefined {
  if (octets.length < 11)
    return octets.length >= 7 && octets[2] === 0x7b ? { headerBytes: 7, dataBytes: 0, isLast: true } : 'more'
  const type = octets[2]
  const flags = octets.readUInt16LE(3)
  const headerBytes = octets.readUInt16LE(5)
  if (headerBytes < 7 || type === undefined || type < 0x72 || type > 0x7b) return undefined
  if (octets.length < headerBytes) return 'more'
  const block = { headerBytes, dataBytes: flags & 0x8000 ? octets.readUInt32LE(7) : 0 }
  if (type === 0x7b) return { ...block, isLast: true }
  if (type === 0x73 && flags & 0x80) return { ...block, isEncrypted: true, isLast: true }
  if (type !== 0x74) return block
  const nameAt = flags & 0x100 ? 40 : 32
  if (headerBytes < nameAt) return undefined
  const high = flags & 0x100 ? octets.readUInt32LE(32) : 0
  const name = octets.toString('utf8', nameAt, Math.min(headerBytes, nameAt + octets.readUInt16LE(26)))
  return {
    headerBytes,
    dataBytes: octets.readUInt32LE(7) + high * 2 ** 32,
    name: name.replace(/\0.*$/s, ''),
    isEncrypted: (flags & 4) !== 0,
  }
}
