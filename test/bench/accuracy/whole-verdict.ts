import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

import { offline, scanMessage } from '../../../services/filter/offline.ts'
import { openEngines } from '../../../services/filter/open-engines.ts'
import { runEngines } from '../../../services/filter/run-engines.ts'
import type { EngineRun } from '../../../services/filter/run-engines.ts'
import { judge } from '../../../services/filter/verdict.ts'
import type { ScanMessage } from '../../../services/filter/engine.ts'
import { classifierFiles } from '../../../shared/classifier/classifier.ts'
import { encodeModel } from '../../../shared/classifier/model.ts'
import type { NewModel } from '../../../shared/classifier/model.ts'
import { loadConfiguration } from '../../../shared/config/load.ts'
import { openTables } from '../../../shared/config/tables.ts'
import { silentLog } from '../../../shared/log.ts'
import { folds } from './corpus.ts'
import type { Labelled } from './corpus.ts'
import type { Scored } from './statistics.ts'

/** What the filter says with a model, of messages the model has not seen. */
export interface WholeVerdicts {
  readonly whole: readonly Scored[]
  /** With `spam engine spamscanner` beside the builtin one. */
  readonly withSpamScanner: readonly Scored[]
  readonly spamScanner: readonly Scored[]
  readonly tookMs: readonly number[]
  readonly spamScannerMs: readonly number[]
}

const pipelineConf = 'spam engine builtin\nspam engine spamscanner\nspam junk 5\nbanned files default found tag\n'

/**
 * Runs all engines of this process over the corpus, each fifth of it with the model that `modelOf` makes of the others. DNS answers
 * nothing: senders of years ago cannot be verified any more.
 */
export async function wholeVerdicts(
  mails: readonly Labelled[],
  modelOf: (others: readonly Labelled[]) => NewModel,
): Promise<WholeVerdicts> {
  const all = { whole: [], withSpamScanner: [], spamScanner: [], tookMs: [], spamScannerMs: [] } as {
    [key in keyof WholeVerdicts]: WholeVerdicts[key][number][]
  }
  for (let fold = 0; fold < folds; fold += 1) {
    const model = modelOf(mails.filter((mail) => mail.fold !== fold))
    const tested = mails.filter((mail) => mail.fold === fold)
    await withEngines(model, async (scan) => {
      for (const { path, isSpam } of tested) {
        const startedAt = performance.now()
        const runs = await scan(scanMessage(readFileSync(path), nobody))
        all.tookMs.push(performance.now() - startedAt)
        const own = runs.find(({ settings }) => settings.engine.name === 'spamscanner')
        all.whole.push({ isSpam, score: scoreOf(runs.filter((run) => run !== own)) })
        all.withSpamScanner.push({ isSpam, score: scoreOf(runs) })
        if (own?.result.status !== 'ok') continue
        all.spamScanner.push({ isSpam, score: own.result.score })
        all.spamScannerMs.push(own.result.tookMs)
      }
    })
  }
  return all
}

const junkAt = 5
const nobody = { recipients: [], tags: [] }

/** What is junk for another reason than its score has at least the score of junk. */
function scoreOf(runs: readonly EngineRun[]): number {
  const { action, score } = judge(runs, { thresholds: { junk: junkAt }, mayReject: false })
  return action === 'clean' ? score : Math.max(score, junkAt)
}

async function withEngines(
  model: NewModel,
  use: (scan: (message: ScanMessage) => Promise<readonly EngineRun[]>) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-verdicts-'))
  const tables = openTables()
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  const { configuration } = await loadConfiguration({
    smtpdConf: file('smtpd.conf', 'listen on 127.0.0.1\naction "a" lmtp "/run/lmtp"\nmatch for any action "a"\n'),
    pipelineConf: file('pipeline.conf', pipelineConf),
    hostname: 'mx.example.org',
  })
  const path = classifierFiles(folder).model
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, encodeModel(model))
  const around = { resolver: offline, clock: { now: Date.now }, tables, dataFolder: folder, threads: 1 }
  const engines = openEngines(configuration, around)
  const parts = {
    signal: new AbortController().signal,
    log: silentLog(),
    metrics: { engineSeconds: { observe: () => {} } },
  }
  try {
    await use((message) => runEngines(engines, message, parts))
  } finally {
    await Promise.all(engines.map(({ engine }) => engine.close()))
    await tables.close()
    rmSync(folder, { recursive: true })
  }
}
