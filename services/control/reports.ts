import { boundsOf, dayOf, parseDay, reportKinds } from '../../shared/aggregate-reports/facts.ts'
import type { Day, ReportKind } from '../../shared/aggregate-reports/facts.ts'
import { factDays } from '../../shared/aggregate-reports/read-facts.ts'
import { dueAt, isOver } from '../../shared/aggregate-reports/report-duty.ts'
import { reportTargets } from '../../shared/aggregate-reports/report-targets.ts'
import type { Destination } from '../../shared/aggregate-reports/report-targets.ts'
import { frameOf, rowsOfDay, sendDay } from '../../shared/aggregate-reports/send-day.ts'
import type { DayResult } from '../../shared/aggregate-reports/send-day.ts'
import { readSentLog, sentDays } from '../../shared/aggregate-reports/sent-log.ts'
import type { SentEntry } from '../../shared/aggregate-reports/sent-log.ts'
import type { Configuration, ReportSender } from '../../shared/config/model.ts'
import { silentLog } from '../../shared/log.ts'
import { formatSecond } from '../../shared/report/units.ts'
import { createResolver } from '../../shared/resolver.ts'
import { ControlError, UsageError, exitCodes } from './command.ts'
import type { Command, Invocation } from './command.ts'
import { findPlace, withSystem } from './connect.ts'
import type { Place } from './connect.ts'
import { visible } from './terminal.ts'
import { textTable } from './text-table.ts'

const kindOption = { name: 'kind', value: 'dmarc|tls', summary: 'reports of this kind only' }
const dayMs = 86_400_000

export const reportsList: Command = {
  words: ['reports', 'list'],
  operands: [],
  options: [kindOption, { name: 'day', value: 'DAY', summary: 'of this UTC day only: 2026-11-20' }],
  summary: 'aggregate reports (DMARC, TLS) to other domains: what is collected, and what became of each',
  run: list,
}

export const reportsSend: Command = {
  words: ['reports', 'send'],
  operands: [],
  options: [
    kindOption,
    { name: 'day', value: 'DAY', summary: 'of this UTC day (yesterday)' },
    { name: 'dry-run', summary: 'print the reports and where they would go; sends nothing' },
  ],
  summary: 'send the aggregate reports of a day now, those that were not sent yet',
  run: send,
}

/** A report of a day about a domain, at one place. */
interface ListedReport {
  readonly kind: ReportKind
  readonly day: Day
  readonly domain: string
  /** Messages or sessions. */
  readonly count: number
  readonly state: 'collecting' | 'due' | SentEntry['result'] | 'too late'
  /** Of `due`: not before then, epoch ms; else when it came to that. */
  readonly at?: number
  readonly to?: string
  readonly id?: string
  readonly reason?: string
}

async function list(invocation: Invocation): Promise<number> {
  const { terminal, options } = invocation
  const place = await findPlace(invocation)
  const asked = dayOption(invocation)
  const reports: ListedReport[] = []
  for (const kind of kindsOf(invocation))
    for (const day of await daysOf(place.dataFolder, kind))
      if (asked === undefined || asked === day) reports.push(...(await listDay(place, kind, day)))
  if (options.has('json')) terminal.print(JSON.stringify({ reports }, undefined, 2))
  else if (reports.length === 0) terminal.print('Nothing is collected, and nothing was sent.')
  else for (const line of linesOf(reports)) terminal.print(line)
  return exitCodes.done
}

async function daysOf(dataFolder: string, kind: ReportKind): Promise<readonly Day[]> {
  const days = new Set([...(await factDays(dataFolder, kind)), ...(await sentDays(dataFolder, kind))])
  return [...days].toSorted((one, other) => (one < other ? -1 : 1))
}

async function listDay(place: Place, kind: ReportKind, day: Day): Promise<readonly ListedReport[]> {
  const { dataFolder, configuration } = place
  const { entries, done } = await readSentLog(dataFolder, kind, day)
  const rows = await rowsOfDay({ dataFolder, log: silentLog() }, kind, day)
  const told = new Set(entries.map(({ domain }) => domain))
  const waiting = { at: dueAt(kind, day, configuration.hostname), state: 'due' as const }
  const left = !isOver(day, Date.now())
    ? { state: 'collecting' as const }
    : done
      ? { state: 'too late' as const }
      : waiting
  return [
    ...entries.map(({ domain, count, result, at, uri, id, reason }) => ({
      kind,
      day,
      domain,
      count,
      state: result,
      at,
      ...(uri === '' ? {} : { to: uri }),
      ...(id === undefined ? {} : { id }),
      ...(reason === undefined ? {} : { reason }),
    })),
    ...rows
      .filter(({ domain }) => !told.has(domain))
      .map(({ domain, count }) => ({ kind, day, domain, count, ...left })),
  ]
}

function linesOf(reports: readonly ListedReport[]): readonly string[] {
  const columns = [
    { title: 'day' },
    { title: 'kind' },
    { title: 'domain' },
    { title: 'count', align: 'right' as const },
    { title: 'state' },
  ]
  const rows = reports.map((one) => [one.day, one.kind, visible(one.domain), String(one.count), stateOf(one)])
  return textTable(columns, rows)
}

function stateOf({ state, at, to, id, reason }: ListedReport): string {
  const words = [
    state,
    at === undefined ? '' : state === 'due' ? `not before ${formatSecond(at)}` : formatSecond(at),
    to === undefined ? '' : `to ${to}`,
    id === undefined ? '' : `as ${id}`,
    reason === undefined ? '' : `(${reason})`,
  ]
  return visible(words.filter((word) => word !== '').join(' '))
}

/** A report to be sent. */
interface Asked {
  readonly kind: ReportKind
  readonly day: Day
  readonly sender: ReportSender
}

async function send(invocation: Invocation): Promise<number> {
  const day = dayOption(invocation) ?? dayOf(Date.now() - dayMs)
  if (invocation.options.has('dry-run')) return dryRun(invocation, await findPlace(invocation), day)
  if (!isOver(day, Date.now())) throw new UsageError(`${day} is not over in UTC: --dry-run shows what there is so far`)
  return withSystem(invocation, async (context) => {
    const { signal } = new AbortController()
    const results: (DayResult & { readonly kind: ReportKind })[] = []
    for (const { kind, sender } of askedOf(context.configuration, invocation, day))
      results.push({ kind, ...(await sendDay(context, { kind, day, sender, signal })) })
    const { terminal, options } = invocation
    if (options.has('json')) terminal.print(JSON.stringify({ day, results }, undefined, 2))
    else
      for (const { kind, sent, failed, impossible } of results)
        terminal.print(`${day} ${kind}: ${sent} sent, ${failed} failed and are tried again, ${impossible} impossible`)
    return results.some(({ failed }) => failed > 0) ? exitCodes.failed : exitCodes.done
  })
}

async function dryRun(invocation: Invocation, { configuration, dataFolder }: Place, day: Day): Promise<number> {
  const { terminal, options } = invocation
  const resolver = createResolver({ servers: configuration.pipeline.resolvers })
  const shown: object[] = []
  try {
    for (const asked of askedOf(configuration, invocation, day)) {
      const { kind } = asked
      for (const rows of await rowsOfDay({ dataFolder, log: silentLog() }, kind, day)) {
        const destinations = (await reportTargets(kind, rows.domain, resolver)).map(destinationText)
        const report = rows.write(frameOf(configuration, asked, rows.domain), rows.rows)
        shown.push({ kind, day, domain: rows.domain, count: rows.count, destinations, report })
        if (options.has('json')) continue
        const where = destinations.length === 0 ? 'nobody: the domain asks for none' : destinations.join(', ')
        terminal.print(visible(`${kind} ${day} ${rows.domain} (${rows.count}) to ${where}`))
        if (destinations.length > 0) for (const line of report.trimEnd().split('\n')) terminal.print(visible(line))
      }
    }
  } finally {
    resolver.close()
  }
  if (options.has('json')) terminal.print(JSON.stringify({ reports: shown }, undefined, 2))
  else if (shown.length === 0) terminal.print(`Nothing was collected on ${day}.`)
  return exitCodes.done
}

function destinationText(destination: Destination): string {
  return destination.kind === 'ready'
    ? destination.target.uri
    : `${destination.uri} (${destination.reason})`.trimStart()
}

function askedOf(configuration: Configuration, invocation: Invocation, day: Day): readonly Asked[] {
  const { aggregateReports } = configuration.pipeline
  const asked = kindsOf(invocation).flatMap((kind) => {
    const sender = aggregateReports[kind]
    return sender === undefined ? [] : [{ kind, day, sender }]
  })
  if (asked.length === 0)
    throw new ControlError(
      'no reports are switched on: add `report dmarc from "dmarc-reports@example.org"` to pipeline.conf',
    )
  return asked
}

function kindsOf({ options }: Invocation): readonly ReportKind[] {
  const text = options.text('kind')
  if (text === undefined) return reportKinds
  const kind = reportKinds.find((one) => one === text)
  if (kind === undefined) throw new UsageError(`--kind ${text}: dmarc or tls is wanted`)
  return [kind]
}

function dayOption({ options }: Invocation): Day | undefined {
  const text = options.text('day')
  if (text === undefined) return undefined
  const day = parseDay(text)
  if (day === undefined || boundsOf(day).beginAt > Date.now())
    throw new UsageError(`--day ${text}: a day that has begun is wanted, as ${dayOf(Date.now() - dayMs)}`)
  return day
}
