import type { ExternalTable, Question, TableAnswer } from '../config/external-table.ts'
import type { TableResult } from './protocol.ts'
import { TableFailure, TableRun } from './table-run.ts'
import type { TableRunOptions } from './table-run.ts'

export interface ProcessTableOptions extends TableRunOptions {
  /** Before the first restart; doubles with each failure, up to a minute. */
  readonly restartMs: number
}

const longestWaitMs = 60_000
/** A run this long clears the record of failures. */
const soundMs = 60_000

/**
 * A table that a program answers for. The program starts with the table; when it ends it is started again, later with each failure,
 * and questions fail at once meanwhile.
 */
export function openProcessTable(options: ProcessTableOptions): ExternalTable {
  const { name, log, now, restartMs } = options
  let run: TableRun | undefined
  let down = ''
  let failures = 0
  let timer: NodeJS.Timeout | undefined
  let closed = false

  function start(): void {
    const started = new TableRun(options)
    const startedAt = now()
    run = started
    void started.ready.then(
      () => log.info({ table: name }, 'table ready'),
      () => undefined,
    )
    void started.ended.then((reason) => {
      run = undefined
      down = reason
      if (closed) return
      failures = now() - startedAt > soundMs ? 1 : failures + 1
      const waitMs = Math.min(longestWaitMs, restartMs * 2 ** (failures - 1))
      log.error({ table: name, reason, waitMs }, 'table failed and is started again')
      timer = setTimeout(start, waitMs)
      timer.unref()
    })
  }

  async function ask(question: Question): Promise<TableAnswer> {
    if (run === undefined) throw new TableFailure(`${down}; it is started again soon`)
    return answerOf(await run.ask(question))
  }

  start()
  return {
    lookup: (service, key) => ask({ ask: 'lookup', service, key }),
    check: (service, key) => ask({ ask: 'check', service, key }),
    fetch: (service) => ask({ ask: 'fetch', service }),
    async update() {
      const result = await run?.ask('update')
      if (result?.kind === 'error') throw new TableFailure(result.text)
    },
    async close() {
      closed = true
      clearTimeout(timer)
      await run?.stop()
    },
  }
}

/** @throws TableFailure */
function answerOf(result: TableResult): TableAnswer {
  switch (result.kind) {
    case 'found':
      return { value: result.value }
    case 'not-found':
      return { value: undefined }
    case 'done':
      throw new TableFailure('it answered ok where a value was asked for')
    case 'error':
      throw new TableFailure(result.text === '' ? 'it reports an error' : result.text)
  }
}
