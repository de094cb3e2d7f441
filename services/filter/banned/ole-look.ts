import { macroType } from './file-kind.ts'
import type { Look, Place, Search } from './search.ts'

/** Entries of the directory of an OLE document ([MS-CFB] 2.6) lie at multiples of their size and begin with their name. */
const entryBytes = 128
const vba = Buffer.from('_VBA_PROJECT', 'utf16le')
const encrypted = Buffer.from('EncryptedPackage\0', 'utf16le')

/** Whether an Office document of the old form has macros, or is a sealed one of the new form. */
export class OleLook implements Look {
  readonly #search: Search
  readonly #place: Place
  readonly #wanted = new Map([
    [vba, { kind: 'type', text: macroType } as const],
    [encrypted, { kind: 'encrypted', text: 'Office document' } as const],
  ])
  #offset = 0
  #rest: Buffer = Buffer.alloc(0)

  constructor(search: Search, place: Place) {
    this.#search = search
    this.#place = place
  }

  write(octets: Buffer): Promise<void> {
    const all = this.#rest.length === 0 ? octets : Buffer.concat([this.#rest, octets])
    for (const [name, found] of this.#wanted) {
      if (!this.#hasEntry(all, name)) continue
      this.#wanted.delete(name)
      this.#search.report(found, this.#place)
    }
    const kept = Math.min(all.length, entryBytes)
    this.#offset += all.length - kept
    this.#rest = all.subarray(all.length - kept)
    return Promise.resolve()
  }

  end(): Promise<void> {
    return Promise.resolve()
  }

  #hasEntry(all: Buffer, name: Buffer): boolean {
    for (let at = all.indexOf(name); at >= 0; at = all.indexOf(name, at + 1))
      if ((this.#offset + at) % entryBytes === 0) return true
    return false
  }
}
