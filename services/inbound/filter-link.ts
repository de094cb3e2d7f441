import { FilterFailure } from '../../shared/filter-host/filter-run.ts'
import type { FilterRun, LineStream } from '../../shared/filter-host/filter-run.ts'
import type { FilterSupervisor } from '../../shared/filter-host/filter-supervisor.ts'
import type { FilterAnswer } from '../../shared/filter-host/protocol.ts'
import type { Logger } from '../../shared/log.ts'
import type { SessionPhase } from './session-filters.ts'

/** Steps that a message cannot take while a filter is down that must see it. */
const mailPhases: ReadonlySet<SessionPhase> = new Set(['mail-from', 'rcpt-to', 'data', 'commit'])

/**
 * One session and one filter process. The session stays with the life of the process it began with: one started later has
 * not seen its beginning, and filters end themselves over a session they do not know.
 */
export class FilterLink {
  readonly #supervisor: FilterSupervisor
  readonly #session: string
  readonly #log: Logger
  readonly #run: FilterRun | undefined
  #failed: boolean

  constructor(supervisor: FilterSupervisor, session: string, log: Logger) {
    this.#supervisor = supervisor
    this.#session = session
    this.#log = log
    this.#run = supervisor.run
    this.#failed = this.#run === undefined
  }

  get rewritesLines(): boolean {
    return this.#run !== undefined && this.#isUp() && this.#run.filters('data-line')
  }

  /** `undefined`: it has no say. `failed`: it should have had one, and mail is to wait. */
  async ask(
    phase: SessionPhase,
    fields: readonly string[],
  ): Promise<FilterAnswer | { readonly kind: 'failed' } | undefined> {
    if (this.#run === undefined || !this.#isUp()) return this.#down(mailPhases.has(phase))
    if (!this.#run.filters(phase)) return undefined
    try {
      return await this.#run.ask(phase, this.#session, fields)
    } catch (error) {
      if (!(error instanceof FilterFailure)) throw error
      this.#failed = true
      const { name } = this.#supervisor
      this.#log.warn({ filter: name, session: this.#session, phase, reason: error.message }, 'filter gave no answer')
      return this.#down(phase !== 'quit')
    }
  }

  report(event: string, fields: readonly string[]): void {
    this.#run?.report(event, this.#session, fields)
  }

  /** @throws FilterFailure */
  open(onLine: (line: string) => void): LineStream {
    if (this.#run === undefined) throw new FilterFailure('it is down')
    return this.#run.openStream(this.#session, onLine)
  }

  congestion(): Promise<void> | undefined {
    return this.#run?.congestion()
  }

  close(): void {
    this.#run?.forget(this.#session)
  }

  #isUp(): boolean {
    return !this.#failed && this.#run?.alive === true
  }

  #down(matters: boolean): { readonly kind: 'failed' } | undefined {
    return matters && this.#supervisor.settings.onFailure === 'tempfail' ? { kind: 'failed' } : undefined
  }
}
