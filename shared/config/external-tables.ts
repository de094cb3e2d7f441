import { noAnswers, PendingLookup, TableError } from './external-table.ts'
import type { ExternalTable, KnownAnswers, OpenExternal, Question, TableAnswer } from './external-table.ts'
import type { Table } from './model.ts'
import { SilentTables } from './silent-tables.ts'

export interface ExternalTablesOptions {
  readonly open: OpenExternal
  readonly now: () => number
  /** Told when a table that was asked to read its source again could not. */
  readonly onWarning: (message: string) => void
  readonly foundMs?: number
  readonly notFoundMs?: number
  /** Of all tables together; beyond it the oldest are forgotten. */
  readonly maxAnswers?: number
}

interface Kept {
  readonly answer: TableAnswer
  readonly until: number
}

/**
 * The external tables of a process: each open once, equal questions asked once at a time, answers kept for a short time. What
 * could not be answered is not kept, and neither is what `fetch` gives: each evaluation has the next entry.
 */
export class ExternalTables {
  readonly #options: Required<ExternalTablesOptions>
  /** By what makes a table what it is, so that a configuration read anew finds those that stay the same. */
  readonly #open = new Map<string, ExternalTable>()
  readonly #ids = new WeakMap<Table, string>()
  readonly #kept = new Map<string, Kept>()
  readonly #asked = new Map<string, Promise<TableAnswer>>()
  readonly #silent: SilentTables
  /** Grows when what is kept must not be believed any more, nor what is on its way. */
  #age = 0

  constructor(options: ExternalTablesOptions) {
    this.#options = { foundMs: 10_000, notFoundMs: 5_000, maxAnswers: 20_000, ...options }
    this.#silent = new SilentTables(options.now)
  }

  /** @throws PendingLookup when nobody knows yet */
  answer(table: Table, question: Question, known: KnownAnswers = noAnswers): TableAnswer {
    const id = `${this.#idOf(table)} ${textOf(question)}`
    const fixed = known.get(id)
    if (fixed !== undefined) return fixed
    const kept = this.#kept.get(id)
    if (kept !== undefined && kept.until > this.#options.now()) return kept.answer
    throw new PendingLookup(id, this.#ask(table, question, id))
  }

  /** All answers are forgotten, and the tables read their sources again. */
  refresh(): void {
    this.#forget()
    for (const [id, table] of this.#open) {
      table.update().catch((error: unknown) => this.#options.onWarning(`table ${id}: ${reasonOf(error)}`))
    }
  }

  /** Closes the tables that are none of these (one that is asked for after all is opened again), and refreshes the others. */
  async follow(tables: Iterable<Table>): Promise<void> {
    const ids = new Set([...tables].map((table) => this.#idOf(table)))
    const closing = this.#close([...this.#open.keys()].filter((id) => !ids.has(id)))
    this.refresh()
    await closing
  }

  async close(): Promise<void> {
    await this.#close([...this.#open.keys()])
  }

  async #close(ids: readonly string[]): Promise<void> {
    const closing = ids.flatMap((id) => this.#open.get(id) ?? [])
    for (const id of ids) this.#open.delete(id)
    await Promise.all(closing.map((table) => table.close()))
  }

  #ask(table: Table, question: Question, id: string): Promise<TableAnswer> {
    const asked = question.ask === 'fetch' ? undefined : this.#asked.get(id)
    if (asked !== undefined) return asked
    const age = this.#age
    const answer = this.#silent
      .ask(this.#idOf(table), () => this.#put(table, question))
      .then(
        (given) => {
          if (this.#asked.get(id) === answer) this.#asked.delete(id)
          if (question.ask !== 'fetch' && age === this.#age) this.#keep(id, given)
          return given
        },
        (error: unknown) => {
          if (this.#asked.get(id) === answer) this.#asked.delete(id)
          throw error instanceof TableError
            ? error
            : new TableError(`table "${table.name}": ${reasonOf(error)}`, { cause: error })
        },
      )
    // Whoever threw PendingLookup may not wait for it.
    answer.catch(() => undefined)
    if (question.ask !== 'fetch') this.#asked.set(id, answer)
    return answer
  }

  async #put(table: Table, question: Question): Promise<TableAnswer> {
    const external = this.#opened(table)
    switch (question.ask) {
      case 'lookup':
        return external.lookup(question.service, question.key)
      case 'check':
        return external.check(question.service, question.key)
      case 'fetch':
        return external.fetch(question.service)
    }
  }

  #opened(table: Table): ExternalTable {
    const id = this.#idOf(table)
    const known = this.#open.get(id)
    if (known !== undefined) return known
    const opened = this.#options.open(table)
    this.#open.set(id, opened)
    return opened
  }

  #idOf(table: Table): string {
    const known = this.#ids.get(table)
    if (known !== undefined) return known
    const id = JSON.stringify([table.name, table.source])
    this.#ids.set(table, id)
    return id
  }

  #keep(id: string, answer: TableAnswer): void {
    const { foundMs, notFoundMs, maxAnswers, now } = this.#options
    const keepMs = answer.keepMs ?? (answer.value === undefined ? notFoundMs : foundMs)
    this.#kept.delete(id)
    this.#kept.set(id, { answer, until: now() + keepMs })
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= maxAnswers) return
      this.#kept.delete(oldest)
    }
  }

  #forget(): void {
    this.#age += 1
    this.#kept.clear()
    this.#asked.clear()
    this.#silent.clear()
  }
}

function textOf(question: Question): string {
  return question.ask === 'fetch' ? `fetch ${question.service}` : `${question.ask} ${question.service} ${question.key}`
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
