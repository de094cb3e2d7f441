import { stderr, stdin } from 'node:process'

import { openClassifier } from '../../shared/classifier/classifier.ts'
import { featuresOfMail, namedFeatures } from '../../shared/classifier/features.ts'
import { judge } from '../../shared/classifier/model.ts'
import type { Model } from '../../shared/classifier/model.ts'
import { readMail } from '../../shared/classifier/readable-mail.ts'
import type { ReadableMail } from '../../shared/classifier/readable-mail.ts'
import { openTables } from '../../shared/config/tables.ts'
import type { TableSet } from '../../shared/config/tables.ts'
import { silentLog } from '../../shared/log.ts'
import type { OfflineEnvelope, OfflineFilter, OfflineVerdict } from '../../shared/pipeline/offline-filter.ts'
import { externalOpener } from '../../shared/table-host/open-external.ts'
import { offlineFilter } from '../registry.ts'
import { exitCodes } from './command.ts'
import type { Command, Invocation, OptionValues } from './command.ts'
import { loadPlace } from './connect.ts'
import type { Place } from './connect.ts'
import { mailBytesAt, readMails } from './mail-files.ts'
import { mailboxOf, tagOf } from './operands.ts'
import { createProgress } from './progress.ts'
import { counted, scanSummary } from './scan-summary.ts'
import { visible } from './terminal.ts'
import type { Terminal } from './terminal.ts'

export const scan: Command = {
  words: ['scan'],
  operands: [{ name: 'FILE|MAILDIR|MBOX|-', required: true }],
  options: [
    { name: 'compare', value: 'FILE', summary: 'another pipeline.conf: show only the messages it judges otherwise' },
    { name: 'why', summary: 'show the findings, and what counts most for the classifier' },
    {
      name: 'rcpt',
      value: 'ADDRESS',
      multiple: true,
      summary: 'as if sent to this recipient: for policies of domains',
    },
    { name: 'tag', value: 'TAG', multiple: true, summary: 'as if it came in with this tag: for policies of tags' },
  ],
  summary: 'how the filter judges these messages, without asking a network',
  run,
}

const mostReasons = 8

interface Reason {
  readonly feature: string
  readonly logOdds: number
}

interface Scanned {
  readonly subject: string
  readonly verdict: OfflineVerdict
  /** Under the configuration that is compared with. */
  readonly other?: OfflineVerdict
  readonly mail: ReadableMail
}

async function run(invocation: Invocation): Promise<number> {
  const { options, operands, terminal } = invocation
  const envelope = envelopeOf(options)
  const place = await loadPlace(invocation)
  const compared = options.text('compare')
  const otherPlace = compared === undefined ? undefined : await loadPlace(invocation, undefined, compared)
  const totalBytes = await mailBytesAt(operands[0] ?? '-')
  const tables = openTables({
    delimiter: place.configuration.subAddressDelimiter,
    onWarning: (message) => terminal.warn(message),
    external: externalOpener({ log: silentLog(), now: Date.now }),
  })
  const filter = await openAt(place, tables)
  const other = otherPlace === undefined ? undefined : await openAt(otherPlace, tables)
  try {
    await scanAll(invocation, {
      filter,
      other,
      envelope,
      totalBytes,
      model: await openClassifier(place.dataFolder, Date.now).model(),
    })
  } finally {
    await Promise.all([filter.close(), other?.close()])
    await tables.close()
  }
  return exitCodes.done
}

async function openAt({ configuration, dataFolder }: Place, tables: TableSet): Promise<OfflineFilter> {
  return (await offlineFilter())({ configuration, dataFolder, tables })
}

interface ScanParts {
  readonly filter: OfflineFilter
  readonly other: OfflineFilter | undefined
  readonly envelope: OfflineEnvelope
  readonly totalBytes: number | undefined
  /** That the classifier judges with. */
  readonly model: Model
}

async function scanAll(invocation: Invocation, parts: ScanParts): Promise<void> {
  const { terminal, options } = invocation
  const { filter, other, envelope, totalBytes, model } = parts
  const progress = createProgress(stderr, totalBytes)
  const summary = scanSummary()
  let doneBytes = 0
  for await (const content of readMails(invocation, stdin)) {
    const mail = readMail(content)
    const scanned: Scanned = {
      mail,
      subject: mail.fields.find(({ name }) => name === 'subject')?.value ?? '',
      verdict: await filter.judge(content, envelope),
      ...(other === undefined ? {} : { other: await other.judge(content, envelope) }),
    }
    summary.add(scanned.verdict.action, scanned.other?.action)
    doneBytes += content.length
    if (isWorthALine(scanned)) {
      progress.clear()
      if (options.has('json')) terminal.print(JSON.stringify(recordOf(scanned, model, options)))
      else for (const line of linesOf(scanned, model, terminal, options)) terminal.print(line)
    }
    progress.show(doneBytes, counted(summary.messages))
  }
  progress.clear()
  if (options.has('json')) {
    if (other !== undefined) terminal.print(JSON.stringify(summary.record()))
    return
  }
  for (const line of summary.lines(model.version)) terminal.print(line)
  const notAsked = [...new Set([...filter.notAsked, ...(other?.notAsked ?? [])])]
  terminal.print(`not asked: ${['DNS', ...notAsked].join(', ')}`)
}

/** Compared, only what changes is. */
function isWorthALine({ verdict, other }: Scanned): boolean {
  return other === undefined || other.action !== verdict.action
}

function recordOf({ subject, verdict, other, mail }: Scanned, model: Model, options: OptionValues): object {
  if (other !== undefined) return { subject, before: recordOfVerdict(verdict), after: recordOfVerdict(other) }
  return {
    ...recordOfVerdict(verdict),
    logOdds: Number(judge(model, featuresOfMail(mail)).logOdds.toFixed(3)),
    model: model.version,
    subject,
    ...(options.has('why') && { symbols: verdict.symbols, reasons: reasonsOf(mail, model) }),
  }
}

function recordOfVerdict({ action, score, reason }: OfflineVerdict): object {
  return { verdict: action, score, ...(reason === '' ? {} : { reason }) }
}

function linesOf(
  { subject, verdict, other, mail }: Scanned,
  model: Model,
  terminal: Terminal,
  options: OptionValues,
): readonly string[] {
  const shown = [verdict, ...(other === undefined ? [] : [other])].map((one) => verdictText(one, terminal))
  const why = options.has('why')
  return [
    `${shown.join(' -> ')}  ${visible(subject)}`,
    ...(why
      ? (other ?? verdict).symbols.map((symbol) => reasonLine(symbol.score, `${symbol.name} ${symbol.text}`))
      : []),
    ...(why && other === undefined
      ? reasonsOf(mail, model).map(({ feature, logOdds }) => reasonLine(logOdds, `classifier: ${feature}`))
      : []),
  ]
}

/** `  7.3 junk      ` */
function verdictText({ action, score }: OfflineVerdict, terminal: Terminal): string {
  const text = `${score.toFixed(1).padStart(6)} ${action.padEnd('quarantine'.length)}`
  return action === 'clean' ? text : terminal.paint('red', text)
}

function reasonLine(score: number, text: string): string {
  return `         ${score.toFixed(2).padStart(6)}  ${visible(text)}`
}

/** What a message has that its model knows, the heaviest first. */
function reasonsOf(mail: ReadableMail, { weights }: Model): readonly Reason[] {
  const named = namedFeatures(mail)
  const share = Math.sqrt(named.size || 1)
  const reasons = [...named].map(([feature, text]) => ({
    feature: text,
    logOdds: Number(((weights[feature & (weights.length - 2)] ?? 0) / share).toFixed(3)),
  }))
  const heaviest = reasons.toSorted((one, other) => Math.abs(other.logOdds) - Math.abs(one.logOdds))
  return heaviest.filter(({ logOdds }) => logOdds !== 0).slice(0, mostReasons)
}

function envelopeOf(options: OptionValues): OfflineEnvelope {
  return { recipients: options.texts('rcpt').map(mailboxOf), tags: options.texts('tag').map(tagOf) }
}
