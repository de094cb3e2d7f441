import type { PipelineSettings } from '../../shared/config/model.ts'
import type { ScanSymbol } from './engine.ts'
import type { EngineRun } from './run-engines.ts'

/** What the engines say together. */
export interface Verdict {
  readonly action: 'clean' | 'junk' | 'reject' | 'discard'
  readonly score: number
  readonly symbols: readonly ScanSymbol[]
}

/** Weighs the scores against the thresholds of pipeline.conf; the heaviest action whose threshold is reached wins. */
export function judge(runs: readonly EngineRun[], thresholds: PipelineSettings['spam']): Verdict {
  const sum = runs.reduce((total, { settings, result }) => total + settings.weight * result.score, 0)
  const score = Math.round(sum * 100) / 100
  const symbols = runs.flatMap(({ result }) => result.symbols)
  const demanded = runs.some(({ result }) => result.demands === 'junk') ? 'junk' : 'clean'
  return { action: actionFor(score, thresholds) ?? demanded, score, symbols }
}

function actionFor(score: number, thresholds: PipelineSettings['spam']): Verdict['action'] | undefined {
  const { discard, reject, junk } = thresholds
  if (discard !== undefined && score >= discard) return 'discard'
  if (reject !== undefined && score >= reject) return 'reject'
  return junk !== undefined && score >= junk ? 'junk' : undefined
}
