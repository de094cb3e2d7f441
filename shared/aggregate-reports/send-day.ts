import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'

import type { Clock } from '../clock.ts'
import type { Configuration, ReportSender } from '../config/model.ts'
import type { Events } from '../events.ts'
import { withFileLock } from '../file-lock.ts'
import type { Logger } from '../log.ts'
import { domainOf } from '../mail/address.ts'
import { noticeEnvelope } from '../mail/envelope.ts'
import { derivedMessageId, parentIdAt } from '../mail/message-id.ts'
import type { Pipeline } from '../pipeline/pipeline.ts'
import type { Resolver } from '../resolver.ts'
import { dmarcXml } from './dmarc-xml.ts'
import type { ReportFrame } from './dmarc-xml.ts'
import { boundsOf } from './facts.ts'
import type { Counted, Day, DmarcFact, ReportKind, TlsFact } from './facts.ts'
import { postReport } from './post-report.ts'
import { readDmarcFacts, readTlsFacts } from './read-facts.ts'
import { composeReportMail, packedTypes } from './report-mail.ts'
import type { PackedReport } from './report-mail.ts'
import { reportTargets } from './report-targets.ts'
import type { Destination, ReportTarget } from './report-targets.ts'
import { noteSent, readSentLog } from './sent-log.ts'
import type { SentEntry } from './sent-log.ts'
import { tlsJson } from './tls-json.ts'

export interface ReportParts {
  /** The one in force: read at each use. */
  readonly configuration: Configuration
  readonly dataFolder: string
  readonly resolver: Pick<Resolver, 'txt' | 'a' | 'aaaa'>
  readonly pipeline: Pick<Pipeline, 'submit'>
  readonly events: Pick<Events, 'aggregateReportSent' | 'aggregateReportFailed'>
  readonly clock: Clock
  readonly log: Logger
}

/** The rows of one domain, ready to be written in its format. */
export interface DomainRows {
  readonly domain: string
  readonly count: number
  /** @param mostRows of them, in a format that can leave some out */
  write(frame: ReportFrame, mostRows: number): string
  readonly rows: number
}

export interface DayRequest {
  readonly kind: ReportKind
  readonly day: Day
  readonly sender: ReportSender
  readonly signal: AbortSignal
  /** What fails now is given up, not tried again. */
  readonly isLastTry?: boolean
}

export interface DayResult {
  readonly sent: number
  readonly impossible: number
  /** To be tried again. */
  readonly failed: number
}

/** Domains that are looked up and written at a time. */
const atOnce = 4
const compress = promisify(gzip)

/**
 * Sends what is not sent yet of a day, each report once for each place that its domain names: the log on disk says what went, and
 * the id of a mail follows from day, domain and place, so that a crash between the two makes no second one. Waits for another process that
 * does the same.
 */
export async function sendDay(parts: ReportParts, request: DayRequest): Promise<DayResult> {
  const { dataFolder } = parts
  const { kind, day, signal } = request
  return withFileLock(join(dataFolder, 'reports', '.sending'), async () => {
    const { entries, done } = await readSentLog(dataFolder, kind, day)
    const totals = { sent: 0, impossible: 0, failed: 0 }
    if (done) return totals
    const settled = new Set(entries.filter(({ result }) => result !== 'failed').map(keyOf))
    const waiting = [...(await rowsOfDay(parts, kind, day))].filter(
      ({ domain }) => !settled.has(keyOf({ domain, uri: '' })),
    )
    const work = waiting.values()
    await Promise.all(
      Array.from({ length: atOnce }, async () => {
        for (const rows of work) {
          signal.throwIfAborted()
          for (const result of await sendAbout(parts, request, rows, settled)) totals[result] += 1
        }
      }),
    )
    if (totals.failed === 0) await noteSent(dataFolder, kind, day, { done: true })
    return totals
  })
}

/** Of all domains that something is known of. */
export async function rowsOfDay(
  { dataFolder, log }: Pick<ReportParts, 'dataFolder' | 'log'>,
  kind: ReportKind,
  day: Day,
): Promise<readonly DomainRows[]> {
  const { byDomain, leftOut } = kind === 'dmarc' ? await dmarcRows(dataFolder, day) : await tlsRows(dataFolder, day)
  if (leftOut > 0) log.warn({ kind, day, leftOut }, 'a day has more than a report can hold: the rest is left out')
  return byDomain
}

async function dmarcRows(dataFolder: string, day: Day) {
  const { byDomain, leftOut } = await readDmarcFacts(dataFolder, day)
  return { byDomain: [...byDomain].map(([domain, rows]) => ofDmarc(domain, rows)), leftOut }
}

async function tlsRows(dataFolder: string, day: Day) {
  const { byDomain, leftOut } = await readTlsFacts(dataFolder, day)
  return { byDomain: [...byDomain].map(([domain, rows]) => ofTls(domain, rows)), leftOut }
}

function ofDmarc(domain: string, rows: readonly Counted<DmarcFact>[]): DomainRows {
  const write: DomainRows['write'] = (frame, mostRows) => dmarcXml(frame, domain, rows, mostRows)
  return { domain, count: countOf(rows), rows: rows.length, write }
}

function ofTls(domain: string, rows: readonly Counted<TlsFact>[]): DomainRows {
  return { domain, count: countOf(rows), rows: 1, write: (frame) => tlsJson(frame, domain, rows) }
}

function countOf(rows: readonly { readonly count: number }[]): number {
  return rows.reduce((sum, { count }) => sum + count, 0)
}

/** Sends, and writes down what became of it. */
async function sendAbout(
  parts: ReportParts,
  request: DayRequest,
  rows: DomainRows,
  settled: ReadonlySet<string>,
): Promise<readonly Outcome['result'][]> {
  const { clock, dataFolder, resolver } = parts
  const { kind, day } = request
  const { domain, count } = rows
  const results: Outcome['result'][] = []
  const destinations = await reportTargets(kind, domain, resolver)
  if (destinations.length === 0)
    await noteSent(dataFolder, kind, day, { at: clock.now(), domain, uri: '', count, result: 'unwanted' })
  for (const destination of destinations) {
    const uri = uriOf(destination)
    if (settled.has(keyOf({ domain, uri }))) continue
    const outcome = await sendTo(parts, request, rows, destination)
    const result = outcome.result === 'failed' && request.isLastTry === true ? 'impossible' : outcome.result
    const entry = { at: clock.now(), domain, uri, count, ...outcome, result }
    await noteSent(dataFolder, kind, day, entry)
    tell(parts, request, entry)
    results.push(result)
  }
  return results
}

interface Outcome extends Pick<SentEntry, 'id' | 'reason'> {
  readonly result: Exclude<SentEntry['result'], 'unwanted'>
}

async function sendTo(
  parts: ReportParts,
  request: DayRequest,
  rows: DomainRows,
  destination: Destination,
): Promise<Outcome> {
  switch (destination.kind) {
    case 'refused':
      return { result: 'impossible', reason: destination.reason }
    case 'unknown':
      return { result: 'failed', reason: destination.reason }
    case 'ready':
      try {
        return await handOver(parts, request, rows, destination.target)
      } catch (error) {
        request.signal.throwIfAborted()
        return { result: 'failed', reason: (error as Error).message }
      }
  }
}

async function handOver(
  parts: ReportParts,
  { kind, day, sender, signal }: DayRequest,
  rows: DomainRows,
  target: ReportTarget,
): Promise<Outcome> {
  const { configuration, resolver, pipeline, clock } = parts
  const report = await packReport(parts, { kind, day, sender }, rows, target)
  if (report === undefined) return { result: 'impossible', reason: 'it is larger than the domain wants it' }
  if (target.kind === 'post') {
    const { tlsCa } = configuration.pipeline
    const ca = tlsCa === undefined ? {} : { ca: await readFile(tlsCa, 'utf8') }
    await postReport(target.uri, packedTypes[kind], report.packed, { resolver, signal, ...ca })
    return { result: 'sent' }
  }
  const nowAt = clock.now()
  const id = derivedMessageId(parentIdAt(boundsOf(day).endAt), `report.${kind}.${rows.domain}.${target.uri}`)
  const content = composeReportMail(report, id, target.address, nowAt)
  await pipeline.submit(noticeEnvelope(id, target.address, nowAt), content)
  return { result: 'sent', id }
}

/** Larger ones are refused by most hosts. */
const mostBytes = 10 * 1024 * 1024
/** More would keep the process busy for long. */
const mostRows = 20_000

/** As many rows as the place takes; undefined: not even one. */
async function packReport(
  { configuration }: Pick<ReportParts, 'configuration'>,
  request: Pick<DayRequest, 'kind' | 'day' | 'sender'>,
  rows: DomainRows,
  target: ReportTarget,
): Promise<PackedReport | undefined> {
  const { kind, sender } = request
  const frame = frameOf(configuration, request, rows.domain)
  const limit = Math.min(mostBytes, target.kind === 'mail' ? (target.mostBytes ?? mostBytes) : mostBytes)
  for (let most = Math.min(rows.rows, mostRows); most > 0; most = Math.floor(most / 2)) {
    const packed = await compress(rows.write(frame, most))
    if (packed.length <= limit) return { kind, frame, domain: rows.domain, from: sender.from, packed }
  }
  return undefined
}

/** What the report says of itself; the same whenever it is written. */
export function frameOf(
  { hostname }: Pick<Configuration, 'hostname'>,
  { kind, day, sender: { from, organisation = hostname } }: Pick<DayRequest, 'kind' | 'day' | 'sender'>,
  domain: string,
): ReportFrame {
  const id = derivedMessageId(parentIdAt(boundsOf(day).endAt), `report.${kind}.${domain}`)
  return { organisation, contact: from, reportId: `${id}@${domainOf(from)}`, ...boundsOf(day) }
}

function tell({ events }: ReportParts, { kind, day }: DayRequest, entry: SentEntry): void {
  const { domain, uri, count, result, id, reason } = entry
  const about = { kind, day, domain, count, ...(uri === '' ? {} : { to: uri }) }
  if (result === 'sent') events.aggregateReportSent({ ...about, ...(id === undefined ? {} : { id }) })
  else events.aggregateReportFailed({ ...about, reason: reason ?? '', again: result === 'failed' })
}

function uriOf(destination: Destination): string {
  return destination.kind === 'ready' ? destination.target.uri : destination.uri
}

function keyOf({ domain, uri }: Pick<SentEntry, 'domain' | 'uri'>): string {
  return `${domain} ${uri}`
}
