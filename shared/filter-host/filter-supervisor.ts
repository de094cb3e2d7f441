import { FilterRun } from './filter-run.ts'
import type { FilterRunOptions } from './filter-run.ts'
import type { FilterSettings } from './settings.ts'

const longestWaitMs = 60_000
/** A run this long clears the record of failures. */
const soundMs = 60_000

/** Keeps one filter process running: what ends is started again, later with each failure. */
export class FilterSupervisor {
  readonly #options: FilterRunOptions
  #current: FilterRun | undefined
  /** The last one started, ready or not. */
  #starting: FilterRun | undefined
  #failures = 0
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(options: FilterRunOptions) {
    this.#options = options
  }

  get name(): string {
    return this.#options.name
  }

  get settings(): FilterSettings {
    return this.#options.settings
  }

  /** The process that answers now. A session keeps the one it began with: another knows nothing of it. */
  get run(): FilterRun | undefined {
    return this.#current
  }

  /** Resolves when the filter is ready, or has failed once: then it is tried again in the background. */
  async start(): Promise<void> {
    if (this.#closed) return
    const { log, name, now } = this.#options
    const run = new FilterRun(this.#options)
    const startedAt = now()
    void run.ended.then((reason) => {
      if (this.#current === run) this.#current = undefined
      if (this.#closed) return
      this.#failures = now() - startedAt > soundMs ? 1 : this.#failures + 1
      const waitMs = Math.min(longestWaitMs, this.#options.settings.restartMs * 2 ** (this.#failures - 1))
      log.error({ filter: name, reason, waitMs }, 'filter failed and is started again')
      this.#timer = setTimeout(() => void this.start(), waitMs)
      this.#timer.unref()
    })
    this.#starting = run
    await run.ready.then(
      () => {
        this.#current = run
        log.info({ filter: name }, 'filter ready')
      },
      () => undefined,
    )
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    await this.#starting?.stop()
  }
}
