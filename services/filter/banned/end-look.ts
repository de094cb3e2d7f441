import { isNamedAsZip } from './file-kind.ts'
import type { FoundFile } from './found-file.ts'
import { LimitReached, within } from './search.ts'
import type { Look, Place, Search } from './search.ts'
import { ArchiveTail } from './zip-end.ts'
import { ZipLook } from './zip-look.ts'

/**
 * Any file as a ZIP archive, should its end say that it is one: programs find the directory there, whatever stands in front, another
 * archive or a program (APPNOTE.TXT 4.1.9, 4.3.16). What lies in it is told at its end, or nothing. Its files and octets are counted apart,
 * so that what only contains archives, as a tar of them does, comes no nearer to a limit.
 */
export class EndLook implements Look {
  readonly #search: Search
  readonly #name: string
  readonly #place: Place
  readonly #tail = new ArchiveTail()
  readonly #found: FoundFile[] = []
  readonly #aside: Search
  #zip: ZipLook | undefined
  /** Why no more was looked at. */
  #limit: string | undefined

  constructor(search: Search, name: string, place: Place) {
    this.#search = search
    this.#name = name
    this.#place = place
    this.#aside = search.aside((file) => void this.#found.push(file))
  }

  async write(octets: Buffer): Promise<void> {
    this.#tail.write(octets)
    if (this.#limit !== undefined) return
    await this.#withinLimits(async () => {
      this.#zip ??= new ZipLook(this.#aside, this.#aside.enter(this.#name, this.#place))
      await this.#zip.write(octets)
    })
  }

  async end(): Promise<void> {
    // What is named as an archive is opened whatever stands behind the end.
    const isArchive = this.#tail.leadsToDirectory(isNamedAsZip(this.#name) ? 'near the end' : 'at the end')
    if (isArchive && this.#limit === undefined) await this.#withinLimits(async () => this.#zip?.end())
    this.#search.closeAside(this.#aside)
    if (!isArchive) return
    for (const file of this.#found) this.#search.tell(file)
    if (this.#limit !== undefined)
      this.#search.report({ kind: 'limit', text: this.#limit }, within(this.#name, this.#place))
  }

  async #withinLimits(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (!(error instanceof LimitReached)) throw error
      this.#limit = error.message
      this.#aside.close()
    }
  }
}
