import { viewFilters } from '../../shared/filter-tally/view.ts'
import type { EngineView, FiltersView } from '../../shared/filter-tally/view.ts'
import { formatDuration } from '../../shared/report/units.ts'
import { UsageError, exitCodes } from './command.ts'
import type { Command, Invocation } from './command.ts'
import { findPlace } from './connect.ts'
import { visible } from './terminal.ts'
import type { Terminal } from './terminal.ts'
import { textTable } from './text-table.ts'

export const showFilters: Command = {
  words: ['show', 'filters'],
  operands: [],
  options: [{ name: 'days', value: 'N', summary: 'of the last so many days, 1 to 60 (1)' }],
  summary:
    'engines, lists and other filters: whether they answer, how long they take, and what became of mail; exit code 1 when one gives no answer',
  run: show,
}

async function show(invocation: Invocation): Promise<number> {
  const { terminal, options } = invocation
  const { dataFolder, configuration } = await findPlace(invocation)
  const view = await viewFilters(dataFolder, configuration, daysOf(options.text('days')), Date.now())
  if (options.has('json')) terminal.print(JSON.stringify(view, undefined, 2))
  else for (const line of filtersText(view, terminal)) terminal.print(line)
  return view.engines.some(({ health }) => health === 'failing') ? exitCodes.failed : exitCodes.done
}

/** @throws UsageError */
function daysOf(text: string | undefined): number {
  if (text === undefined) return 1
  const days = /^\d{1,2}$/.test(text) ? Number(text) : 0
  if (days < 1 || days > 60) throw new UsageError(`--days ${text}: a whole number from 1 to 60 is wanted`)
  return days
}

const words: Readonly<Record<EngineView['health'], string>> = {
  good: 'answers',
  failing: 'NO ANSWER',
  silent: 'not asked',
}

function filtersText({ engines, mix, findings, at }: FiltersView, terminal: Terminal): readonly string[] {
  const rows = engines.map((engine) => [
    visible(engine.name),
    engine.health === 'failing' ? terminal.paint('red', words.failing) : words[engine.health],
    String(engine.answers),
    String(Object.values(engine.failures).reduce((sum, count) => sum + count, 0)),
    ...(['p50', 'p95', 'p99'] as const).map((name) =>
      engine.percentiles === undefined ? '-' : `${Math.ceil(engine.percentiles[name])} ms`,
    ),
    lastOf(engine, at),
  ])
  const right = 'right' as const
  const table = textTable(
    [
      { title: 'filter' },
      { title: 'state' },
      { title: 'asked', align: right },
      { title: 'no answer', align: right },
      { title: '50 %', align: right },
      { title: '95 %', align: right },
      { title: '99 %', align: right },
      { title: 'last' },
    ],
    rows,
  )
  const all = sumOf(mix.map(({ verdicts }) => verdicts))
  return [
    ...table,
    '',
    `mail: ${all === '' ? 'none' : all}`,
    ...findings.map(({ method, results }) => `${method}: ${sumOf([results])}`),
  ]
}

function lastOf({ last: { okAt, failedAt, reason } }: EngineView, nowAt: number): string {
  const ago = (at: number): string => formatDuration(Math.max(0, nowAt - at))
  const answer = okAt === undefined ? [] : [`answer ${ago(okAt)} ago`]
  return [...answer, ...(failedAt === undefined ? [] : [`none ${ago(failedAt)} ago: ${visible(reason ?? '')}`])].join(
    '; ',
  )
}

/** `clean 120, junk 3` */
function sumOf(all: readonly Readonly<Record<string, number>>[]): string {
  const sum = new Map<string, number>()
  for (const counts of all)
    for (const [name, count] of Object.entries(counts)) sum.set(name, (sum.get(name) ?? 0) + count)
  return [...sum]
    .toSorted(([, one], [, other]) => other - one)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ')
}
