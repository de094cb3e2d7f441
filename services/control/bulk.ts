import { openAudit } from '../../shared/audit.ts'
import type { Audit } from '../../shared/audit.ts'
import { systemClock } from '../../shared/clock.ts'
import { silentLog } from '../../shared/log.ts'
import { BulkFiles } from '../../shared/operate/bulk-files.ts'
import type { BulkRun } from '../../shared/operate/bulk-files.ts'
import { countFor, mostBulk, previewOf } from '../../shared/operate/bulk-order.ts'
import type { BulkAction, BulkOrder, BulkPreview } from '../../shared/operate/bulk-order.ts'
import {
  actionNames,
  createBulkRuns,
  describeRun,
  orderName,
  pastName,
  queryAsOf,
} from '../../shared/operate/bulk-runs.ts'
import type { Asker, BulkRuns } from '../../shared/operate/bulk-runs.ts'
import { createBulkWork } from '../../shared/operate/bulk-work.ts'
import type { BulkWork } from '../../shared/operate/bulk-work.ts'
import { formatSecond, plural } from '../../shared/report/units.ts'
import { QueryError } from '../../shared/store/query.ts'
import type { Query } from '../../shared/store/query.ts'
import { ControlError, UsageError, exitCodes } from './command.ts'
import type { Command, Invocation } from './command.ts'
import { askStore, findPlace, operatorName, withSystem } from './connect.ts'
import type { Place } from './connect.ts'
import { createProgress } from './progress.ts'
import type { Progress } from './progress.ts'
import { visible } from './terminal.ts'
import { textTable } from './text-table.ts'
import { done, operationParts } from './with-operations.ts'

export const bulkList: Command = {
  words: ['bulk', 'list'],
  operands: [],
  summary: 'what was done to all that a search found (--search, page Messages), in the last 30 days',
  run: list,
}

export const bulkResume: Command = {
  words: ['bulk', 'resume'],
  operands: [{ name: 'RUN', required: true }],
  summary: 'go on with a run that was cancelled, failed, or lost its process',
  run: (invocation) => withRuns(invocation, async (runs) => workOff(invocation, runs, invocation.operands[0] ?? '')),
}

export const bulkCancel: Command = {
  words: ['bulk', 'cancel'],
  operands: [{ name: 'RUN', required: true }],
  summary: 'let a run end before its next piece',
  run: (invocation) =>
    withRuns(invocation, async (runs) => {
      const [id = ''] = invocation.operands
      await runs.cancel(id, asker())
      return done(invocation, { id, cancelled: true }, `run ${id} is cancelled`)
    }),
}

/** What `--search` of a command finds has it done: `--dry-run` tells to how many, and a terminal is asked before. */
export async function bySearch(
  invocation: Invocation,
  action: BulkAction,
  more: Pick<BulkOrder, 'way' | 'copyTo'> = {},
): Promise<number> {
  const { options, terminal } = invocation
  const from = options.text('from')
  const order: BulkOrder = {
    action,
    query: options.text('search') ?? '',
    asOf: Date.now(),
    ...more,
    ...(from === undefined ? {} : { from }),
    ...(options.has('again') ? { again: true } : {}),
    ...(options.has('quarantined') ? { quarantined: true } : {}),
  }
  const preview = await previewBy(order, await findPlace(invocation))
  const count = countFor(preview, order)
  const found = `${plural(preview.messages, 'message')} found${preview.isCut ? ', and more' : ''} (${statesText(preview)})`
  if (options.has('dry-run')) {
    const facts = { found: preview.messages, cut: preview.isCut, states: preview.states, messages: count }
    return done(
      invocation,
      facts,
      `${plural(count, 'message')} to be ${visible(pastName(order))}, of ${found}; nothing is changed`,
    )
  }
  if (terminal.isWatched && !options.has('yes')) {
    const whither = order.copyTo === undefined ? '' : ` to ${visible(order.copyTo)}`
    const question = `${found}\n${actionNames[action]} ${plural(count, 'message')}${whither}?`
    if (!(await terminal.confirm(question))) {
      terminal.warn('sluicectl: nothing is changed')
      return exitCodes.failed
    }
  }
  return withRuns(invocation, async (runs) => {
    const { id } = await runs.begin(order, asker())
    return workOff(invocation, runs, id)
  })
}

async function previewBy({ query, asOf }: BulkOrder, place: Place): Promise<BulkPreview> {
  const question = { query: understood(query, asOf), most: mostBulk }
  return previewOf(await askStore(place, (store) => store.choose(question)))
}

function understood(text: string, asOf: number): Query {
  try {
    return queryAsOf(text, asOf)
  } catch (error) {
    if (error instanceof QueryError) throw new UsageError(error.message)
    throw error
  }
}

/** `delayed 8, held 2` */
function statesText({ states }: BulkPreview): string {
  return Object.entries(states)
    .map(([state, copies]) => `${state} ${copies}`)
    .join(', ')
}

/** Shows how far it is; Ctrl-C ends it after the piece it is at. */
async function workOff(invocation: Invocation, runs: BulkRuns, id: string): Promise<number> {
  let progress: Progress | undefined
  const stop = (): void => void runs.close()
  process.once('SIGINT', stop)
  try {
    const end = await runs.work(id, asker(), (run) => {
      progress ??= createProgress(process.stderr, run.messages)
      progress.show(run.turns, `${run.turns} of ${plural(run.messages, 'message')}`)
    })
    progress?.clear()
    if (end.state !== 'done') throw new ControlError(`${describeRun(end)}; to go on: sluicectl bulk resume ${id}`)
    return done(invocation, factsOf(end), describeRun(end))
  } finally {
    process.removeListener('SIGINT', stop)
    progress?.clear()
  }
}

function factsOf(run: BulkRun): object {
  const { order, ...rest } = run
  return { ...rest, action: order.action, query: order.query }
}

async function withRuns(invocation: Invocation, use: (runs: BulkRuns) => Promise<number>): Promise<number> {
  return withSystem(invocation, async (context, place) => {
    const audit = await openAudit(place.dataFolder, { log: silentLog(), clock: systemClock })
    const bulk = createBulkWork(operationParts(context, place))
    try {
      return await use(runsOf(place, audit, bulk))
    } finally {
      await audit.close()
    }
  })
}

function runsOf(place: Place, audit: Audit, bulk: BulkWork): BulkRuns {
  return createBulkRuns({
    dataFolder: place.dataFolder,
    clock: systemClock,
    audit,
    bulk,
    choose: (question) => askStore(place, (store) => store.choose(question)),
  })
}

function asker(): Asker {
  return { by: operatorName(), name: operatorName(), from: 'this host' }
}

/** Needs no Redis. */
async function list(invocation: Invocation): Promise<number> {
  const { terminal, options } = invocation
  const runs = await new BulkFiles((await findPlace(invocation)).dataFolder, systemClock).list()
  if (options.has('json')) terminal.print(JSON.stringify(runs.map(factsOf), undefined, 2))
  else for (const line of listText(runs)) terminal.print(line)
  return exitCodes.done
}

function listText(runs: readonly BulkRun[]): readonly string[] {
  if (runs.length === 0) return ['Nothing was done to what a search found.']
  const columns = ['run', 'begun', 'by', 'action', 'state', 'search', 'how far'].map((title) => ({ title }))
  const rows = runs.map((run) => [
    run.id,
    formatSecond(run.startedAt),
    visible(run.by),
    visible(orderName(run.order)),
    run.state,
    visible(run.order.query),
    visible(describeRun(run)),
  ])
  return textTable(columns, rows)
}
