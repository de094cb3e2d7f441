import type { Logger } from '../../shared/log.ts'
import type { BulkRun } from '../../shared/operate/bulk-files.ts'
import { bulkActions } from '../../shared/operate/bulk-order.ts'
import type { BulkOrder } from '../../shared/operate/bulk-order.ts'
import type { Asker, BulkRuns } from '../../shared/operate/bulk-runs.ts'
import { OperationError } from '../../shared/operate/operation-error.ts'
import type { Fields, Given } from './action-fields.ts'

/** What can be said of what is to be done to all that a search finds, besides the search. */
export const orderFields = {
  action: { type: 'string', enum: bulkActions, description: 'What is done.' },
  to: {
    type: 'string',
    description:
      '`reroute`: a relay host as in smtpd.conf: smtp://mx.example.org:2525; with a label those alone that a relay action names with it. `replay`: a copy of each for this address, in place of those it was for.',
  },
  relay: { type: 'string', description: '`reroute`: a relay action of smtpd.conf, in place of `to`.' },
  undo: { type: 'boolean', description: '`reroute`: where the rules say, again, in place of `to`.' },
  from: { type: 'string', description: '`replay`: a queue passed within the last hour; absent: from the beginning.' },
  again: { type: 'boolean', description: '`replay`: also to those who have it already.' },
  quarantined: {
    type: 'boolean',
    description: '`release`, `remove`: also what a filter keeps back; a virus is released one by one all the same.',
  },
} as const satisfies Fields

/** @throws OperationError for an action that there is not */
export function orderOf(given: Given, query: string, asOf: number): BulkOrder {
  const { to, relay, undo, from, again, quarantined } = given
  const action = bulkActions.find((one) => one === given['action'])
  if (action === undefined) throw new OperationError(`name an \`action\`: one of ${bulkActions.join(', ')}`)
  return {
    action,
    query,
    asOf,
    ...(action === 'reroute' ? { way: { to, action: relay, undo: undo !== undefined } } : {}),
    ...(action === 'replay' && to !== undefined ? { copyTo: to } : {}),
    ...(from === undefined ? {} : { from }),
    ...(again === undefined ? {} : { again: true }),
    ...(quarantined === undefined ? {} : { quarantined: true }),
  }
}

/** Begins a run, which goes on after the answer. @throws OperationError, QueryError */
export async function beginRun(runs: BulkRuns, order: BulkOrder, asker: Asker, log: Logger): Promise<BulkRun> {
  const run = await runs.begin(order, asker)
  goOn(runs, run.id, asker, log)
  return run
}

/** Takes a run up that has ended before its time. @throws OperationError */
export async function resumeRun(runs: BulkRuns, id: string, asker: Asker, log: Logger): Promise<void> {
  const run = await runs.find(id)
  if (run === undefined) throw new OperationError(`there is no run ${id}`)
  if (run.state === 'running') throw new OperationError(`run ${id} is under way`)
  if (run.state === 'done') throw new OperationError(`run ${id} has come to its end`)
  goOn(runs, id, asker, log)
}

/** Its page tells how it ends. */
function goOn(runs: BulkRuns, id: string, asker: Asker, log: Logger): void {
  runs.work(id, asker).catch((error: unknown) => log.error({ err: error, run: id }, 'a run broke off'))
}
