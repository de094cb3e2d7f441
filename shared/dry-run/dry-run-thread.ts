import { dirname, join, resolve } from 'node:path'

import { ConfigurationError, renderDiagnostic, renderDiagnostics } from '../config/diagnostic.ts'
import type { Diagnostic } from '../config/diagnostic.ts'
import { loadConfiguration } from '../config/load.ts'
import type { LoadOptions } from '../config/load.ts'
import type { Configuration, SpamThresholds } from '../config/model.ts'
import { openTables } from '../config/tables.ts'
import type { TableSet } from '../config/tables.ts'
import { silentLog } from '../log.ts'
import { localAddresses } from '../system.ts'
import { externalOpener } from '../table-host/open-external.ts'
import { dryRun } from './dry-run.ts'
import type { DryRun } from './dry-run.ts'
import { tableSources } from './table-sources.ts'

/** What is tried, by texts that nobody has put on disk. */
export interface DryRunTask {
  /** Of the configuration in force. */
  readonly origin: LoadOptions
  readonly texts: ReadonlyMap<string, string>
  /** In place of the files in force; absent: as they are. */
  readonly smtpdConf?: string | undefined
  readonly pipelineConf?: string | undefined
  /** In place of those of `spam`. */
  readonly thresholds: Partial<SpamThresholds>
  /** Of the journal. */
  readonly folder: string
  readonly sinceAt: number
  readonly limit: number
  /** One number: messages judged so far. */
  readonly progress: SharedArrayBuffer
}

export type DryRunAnswer =
  | { readonly kind: 'done'; readonly found: DryRun; readonly warnings: readonly string[] }
  /** It is no configuration, or names what the one in force does not. */
  | { readonly kind: 'refused'; readonly reason: string }

/**
 * Judges recorded traffic by a changed configuration, in a thread. What is tried reads no file, and asks no server or program, that the
 * configuration in force does not, and it is not told what the files of tables hold: who may try one may not have the run of this host.
 */
export default async function tryChanged(asked: unknown): Promise<DryRunAnswer> {
  const task = asked as DryRunTask
  const inForce = await loadConfiguration({ ...task.origin, texts: task.texts })
  const known = tableSources(inForce.configuration)
  try {
    const changed = await loadConfiguration(changedOptions(task, new Set([...known.files, ...task.texts.keys()])))
    const configuration = withThresholds(changed.configuration, task.thresholds)
    const strange = [...tableSources(configuration).all].filter(([source]) => !known.all.has(source))
    if (strange.length > 0) return { kind: 'refused', reason: notKnown(strange.map(([, name]) => name)) }
    const found = await compare(task, inForce.configuration, configuration)
    return { kind: 'done', found, warnings: discreet(changed.warnings).map((one) => renderDiagnostic(one)) }
  } catch (error) {
    if (error instanceof ConfigurationError)
      return { kind: 'refused', reason: renderDiagnostics(discreet(error.diagnostics)) }
    throw error
  }
}

/** Without lines of tables: taken for another kind of table than it is, one of passwords would be quoted. */
function discreet(diagnostics: readonly Diagnostic[]): readonly Diagnostic[] {
  const message = 'what the table holds does not fit here; `sluicectl dry-run` tells what'
  return diagnostics.map((one) => (one.code === 'table-content' ? { ...one, message } : one))
}

function changedOptions(
  { origin, texts, smtpdConf, pipelineConf }: DryRunTask,
  readable: ReadonlySet<string>,
): LoadOptions {
  const place = resolve(origin.smtpdConf)
  const pipelinePlace = resolve(origin.pipelineConf ?? join(dirname(place), 'pipeline.conf'))
  const changed = new Map(texts)
  if (smtpdConf !== undefined) changed.set(place, smtpdConf)
  if (pipelineConf !== undefined) changed.set(pipelinePlace, pipelineConf)
  const hasPipeline = origin.pipelineConf !== undefined || pipelineConf !== undefined
  return {
    ...origin,
    ...(hasPipeline ? { pipelineConf: pipelinePlace } : {}),
    texts: changed,
    mayRead: (path) => readable.has(path),
  }
}

function withThresholds(configuration: Configuration, thresholds: Partial<SpamThresholds>): Configuration {
  if (Object.keys(thresholds).length === 0) return configuration
  const { pipeline } = configuration
  return { ...configuration, pipeline: { ...pipeline, spam: { ...pipeline.spam, ...thresholds } } }
}

function notKnown(names: readonly string[]): string {
  return `it has tables that the configuration in force does not have, and none of these is read or asked from here: ${names.join(', ')}; \`sluicectl dry-run\` does`
}

async function compare(task: DryRunTask, inForce: Configuration, changed: Configuration): Promise<DryRun> {
  const { folder, sinceAt, limit, progress } = task
  const judged = new Uint32Array(progress)
  const tables = [inForce, changed].map((configuration) => tablesOf(configuration))
  const [now, next] = tables
  if (now === undefined || next === undefined) throw new TypeError('two configurations are compared')
  const addresses = localAddresses()
  try {
    return await dryRun({
      folder,
      sinceAt,
      limit,
      inForce: { configuration: inForce, tables: now, localAddresses: addresses },
      changed: { configuration: changed, tables: next, localAddresses: addresses },
      onJudged: (messages) => void Atomics.store(judged, 0, messages),
    })
  } finally {
    await Promise.all(tables.map((one) => one.close()))
  }
}

function tablesOf({ subAddressDelimiter: delimiter }: Configuration): TableSet {
  return openTables({ delimiter, external: externalOpener({ log: silentLog(), now: Date.now }) })
}
