import { FileLook } from './file-look.ts'
import type { Look, Place, Search } from './search.ts'

const blockBytes = 512
/** Of a long name, or of the fields of pax. */
const mostMetaBytes = 65_536

/** The files of a tar archive (POSIX ustar and pax, GNU's long names). */
export class TarLook implements Look {
  readonly #search: Search
  readonly #place: Place
  #rest: Buffer = Buffer.alloc(0)
  #file: FileLook | undefined
  /** Octets of the file that are to come, and those that fill its last block. */
  #left = 0
  #filling = 0
  /** Of an entry that only names the next one. */
  #meta: { readonly type: string; text: Buffer } | undefined
  #longName: string | undefined
  #isOver = false

  constructor(search: Search, place: Place) {
    this.#search = search
    this.#place = place
  }

  async write(octets: Buffer): Promise<void> {
    if (this.#isOver) return
    let all = this.#rest.length === 0 ? octets : Buffer.concat([this.#rest, octets])
    while (all.length > 0 && !this.#isOver) {
      if (this.#left > 0) {
        const piece = all.subarray(0, this.#left)
        all = all.subarray(piece.length)
        await this.#data(piece)
      } else if (this.#filling > 0) {
        const skipped = Math.min(this.#filling, all.length)
        all = all.subarray(skipped)
        this.#filling -= skipped
      } else {
        if (all.length < blockBytes) break
        await this.#header(all.subarray(0, blockBytes))
        all = all.subarray(blockBytes)
      }
    }
    this.#rest = all
  }

  async end(): Promise<void> {
    await this.#file?.end()
    this.#file = undefined
  }

  async #header(block: Buffer): Promise<void> {
    if (block[0] === 0) return
    if (!hasChecksum(block)) return this.#giveUp()
    const type = block.toString('latin1', 156, 157)
    const size = numberAt(block, 124, 12)
    if (size === undefined) return this.#giveUp()
    this.#left = size
    this.#filling = (blockBytes - (size % blockBytes)) % blockBytes
    if (type === 'L' || type === 'x') {
      this.#meta = { type, text: Buffer.alloc(0) }
      if (size === 0) await this.#endData()
      return
    }
    const prefix = textAt(block, 345, 155)
    const name = this.#longName ?? `${prefix === '' ? '' : `${prefix}/`}${textAt(block, 0, 100)}`
    this.#longName = undefined
    if (type === 'g' || type === 'K' || type === '5') return
    this.#file = new FileLook(this.#search, name, this.#place)
    if (size === 0) await this.#endData()
  }

  #giveUp(): void {
    this.#isOver = true
    this.#search.report({ kind: 'unreadable', text: 'damaged' }, this.#place)
  }

  async #data(piece: Buffer): Promise<void> {
    this.#left -= piece.length
    if (this.#meta === undefined) await this.#file?.write(piece)
    else if (this.#meta.text.length < mostMetaBytes) this.#meta.text = Buffer.concat([this.#meta.text, piece])
    if (this.#left === 0) await this.#endData()
  }

  async #endData(): Promise<void> {
    await this.end()
    if (this.#meta === undefined) return
    const text = this.#meta.text.toString('utf8', 0, mostMetaBytes)
    const name = this.#meta.type === 'L' ? text.replace(/\0.*$/s, '') : /(?:^|\n)\d+ path=([^\n]*)\n/.exec(text)?.[1]
    this.#longName = name ?? this.#longName
    this.#meta = undefined
  }
}

/** The sum of the header's octets, its own field counted as blanks. */
function hasChecksum(block: Buffer): boolean {
  let sum = 0
  for (let at = 0; at < blockBytes; at += 1) sum += at >= 148 && at < 156 ? 0x20 : (block[at] ?? 0)
  return numberAt(block, 148, 8) === sum
}

/** Octal digits, or GNU's form for large numbers; undefined: no number that a file can have. */
function numberAt(block: Buffer, at: number, bytes: number): number | undefined {
  if (block[at] === 0x80) {
    const value = Number(block.readBigUInt64BE(at + bytes - 8))
    return Number.isSafeInteger(value) ? value : undefined
  }
  const digits = textAt(block, at, bytes).trim()
  return /^[0-7]*$/.test(digits) ? parseInt(digits || '0', 8) : undefined
}

function textAt(block: Buffer, at: number, bytes: number): string {
  return block.toString('utf8', at, at + bytes).replace(/\0.*$/s, '')
}
