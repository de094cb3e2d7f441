import type { ReceivedReport } from './model.ts'
import { readReport, reportFiles } from './store.ts'
import type { ReportFile } from './store.ts'

export type ReportKind = ReceivedReport['kind']
export type ReportOf<Wanted extends ReportKind> = Extract<ReceivedReport, { readonly kind: Wanted }>

/** Reports of a kind, the newest first. */
export interface ReadReports<Report> {
  readonly reports: readonly Report[]
  /** There are more than are read at once. */
  readonly cut: boolean
}

/** What summaries are made of. */
export type ReportsReader = Pick<ReceivedReportsReader, 'read'>

/** Beyond these nobody gains by reading more: a domain is told of some hundred times a month. */
const mostReports = 5_000
/** Characters of JSON of what is read at once, for it is summed up in one go. */
const mostRead = 16 * 1024 * 1024
/** And of what is remembered for the next question. */
const mostCached = 32 * 1024 * 1024
/** Files that are read at a time. */
const batch = 32

interface CachedReport {
  readonly writtenAt: number
  readonly report: ReceivedReport
  readonly size: number
}

/** Reads what is kept; files do not change, so what was read is remembered for the next question. */
export class ReceivedReportsReader {
  readonly #folder: string
  readonly #cache = new Map<string, CachedReport>()
  #cached = 0

  constructor(folder: string) {
    this.#folder = folder
  }

  /** Those that came since then, epoch ms. */
  async read<Wanted extends ReportKind>(kind: Wanted, sinceAt: number): Promise<ReadReports<ReportOf<Wanted>>> {
    const files = (await reportFiles(this.#folder, sinceAt))
      .filter((file) => file.kind === kind)
      .toSorted((one, other) => other.writtenAt - one.writtenAt)
    const isWanted = (report: ReceivedReport): report is ReportOf<Wanted> => report.kind === kind
    const reports: ReportOf<Wanted>[] = []
    let size = 0
    let read = 0
    for (; read < Math.min(files.length, mostReports) && size < mostRead; read += batch) {
      const some = await Promise.all(files.slice(read, read + batch).map((file) => this.#one(file)))
      for (const one of some) {
        if (one === undefined) continue
        size += one.size
        if (isWanted(one.report)) reports.push(one.report)
      }
    }
    return { reports, cut: files.length > read }
  }

  async #one({ path, writtenAt }: ReportFile): Promise<CachedReport | undefined> {
    const known = this.#cache.get(path)
    if (known?.writtenAt === writtenAt) return known
    this.#forget(path)
    const report = await readReport(path)
    if (report === undefined) return undefined
    const read = { writtenAt, report, size: JSON.stringify(report).length }
    this.#cache.set(path, read)
    this.#cached += read.size
    for (const oldest of this.#cache.keys()) {
      if (this.#cached <= mostCached) break
      this.#forget(oldest)
    }
    return read
  }

  #forget(path: string): void {
    this.#cached -= this.#cache.get(path)?.size ?? 0
    this.#cache.delete(path)
  }
}
