import { openTables } from '../../shared/config/tables.ts'
import type { Configuration } from '../../shared/config/model.ts'
import { renderDiagnostic } from '../../shared/config/diagnostic.ts'
import { dryRun } from '../../shared/dry-run/dry-run.ts'
import type { DryRun, OutcomeChange } from '../../shared/dry-run/dry-run.ts'
import { silentLog } from '../../shared/log.ts'
import { formatSecond, plural } from '../../shared/report/units.ts'
import { localAddresses } from '../../shared/system.ts'
import { externalOpener } from '../../shared/table-host/open-external.ts'
import { UsageError, exitCodes } from './command.ts'
import type { Command, Invocation } from './command.ts'
import { notInForce } from './configuration.ts'
import { findPlace, loadPlace } from './connect.ts'
import { limitOf } from './show-queue.ts'
import { visible } from './terminal.ts'
import { textTable } from './text-table.ts'

const defaultDays = '3'
const dayMs = 86_400_000

export const dryRunCommand: Command = {
  words: ['dry-run'],
  operands: [],
  options: [
    { name: 'days', value: 'N', summary: `of what came in the last N days (${defaultDays})` },
    { name: 'limit', value: 'N', summary: 'of no more messages than these, from the oldest on' },
    { name: 'fail-on-change', summary: 'exit code 1 when something would change' },
  ],
  summary:
    'what a new smtpd.conf (-f) or pipeline.conf (-p) would have done with the mail of the last days, against those in force (SMTPD_CONF, PIPELINE_CONF); changes nothing',
  run,
}

async function run(invocation: Invocation): Promise<number> {
  const { terminal, options, environment } = invocation
  if (!options.has('smtpd-conf') && !options.has('pipeline-conf'))
    throw new UsageError('name what is to be tried: dry-run -f NEW-SMTPD.CONF, -p NEW-PIPELINE.CONF')
  const sinceAt = Date.now() - daysOf(options.text('days') ?? defaultDays) * dayMs
  const limit = limitOf(options.text('limit') ?? '0')
  // Before the place: it may be read by who runs the command alone.
  const changed = await loadPlace(invocation, undefined, undefined, environment['SMTPD_CONF'] === undefined)
  const inForce = await findPlace({
    operands: [],
    options: options.without('smtpd-conf', 'pipeline-conf'),
    terminal,
    environment,
  })
  for (const line of await notInForce(inForce)) terminal.warn(line)
  for (const warning of changed.warnings) terminal.warn(renderDiagnostic(warning))
  const [now, then] = [openJudge(inForce.configuration), openJudge(changed.configuration)]
  let found: DryRun
  try {
    found = await dryRun({ folder: inForce.eventsFolder, sinceAt, limit, inForce: now, changed: then })
  } finally {
    await Promise.all([now.tables.close(), then.tables.close()])
  }
  if (options.has('json')) terminal.print(JSON.stringify(found, undefined, 2))
  else for (const line of dryRunText(found)) terminal.print(line)
  return options.has('fail-on-change') && found.changed > 0 ? exitCodes.failed : exitCodes.done
}

function openJudge(configuration: Configuration) {
  const tables = openTables({
    delimiter: configuration.subAddressDelimiter,
    external: externalOpener({ log: silentLog(), now: Date.now }),
  })
  return { configuration, tables, localAddresses: localAddresses() }
}

function daysOf(text: string): number {
  const days = Number(text)
  if (!/^\d{1,4}(\.\d{1,3})?$/.test(text) || days === 0)
    throw new UsageError(`--days ${text}: a number of days is wanted`)
  return days
}

/** Messages, then a line for each kind of change with three of them, then what was not judged. */
export function dryRunText(found: DryRun): readonly string[] {
  const { sinceAt, messages, recipients, unchanged, changed, notJudged, changedSince, changes, reasons, notTried } =
    found
  const columns = [
    { title: 'would change' },
    { title: 'recipients', align: 'right' },
    { title: 'share', align: 'right' },
  ] as const
  const rows = changes.map((change) => [
    `${change.from} -> ${change.to}`,
    String(change.recipients),
    share(change.recipients, recipients),
  ])
  const [heading = '', ...lines] = textTable(columns, rows)
  return [
    `looked at ${plural(messages, 'message')} for ${plural(recipients, 'recipient')}, since ${formatSecond(sinceAt)}`,
    `unchanged ${unchanged}, changed ${changed}, not judged ${notJudged}`,
    ...(changedSince === 0
      ? []
      : [`changed since: ${changedSince} went another way then than the configuration in force says`]),
    ...(changes.length === 0 ? [] : ['', heading]),
    ...lines.flatMap((line, index) => [line, ...examples(changes[index])]),
    ...(reasons.length === 0 ? [] : ['', 'not judged']),
    ...textTable(
      [{ align: 'right' }, {}],
      reasons.map(({ reason, recipients: count }) => [`  ${count}`, reason]),
    ),
    ...(notTried.length === 0 ? [] : ['', `differs, and was not tried: ${notTried.join(', ')}`]),
  ]
}

function examples(change: OutcomeChange | undefined): readonly string[] {
  const shown = change?.examples ?? []
  return shown.map(({ id, from, to }) => `  ${id}  ${visible(from ?? '<>')}  ${visible(to)}`)
}

function share(count: number, all: number): string {
  return `${((count * 100) / Math.max(1, all)).toFixed(1)} %`
}
