import type { Quarantine } from '../../shared/mail/disposition.ts'
import { heaviestDemand } from '../../shared/spam/weigh.ts'
import type { Demand, WeighOptions } from '../../shared/spam/weigh.ts'
import type { ScanSymbol } from './engine.ts'
import type { EngineRun } from './run-engines.ts'

/** What the engines say together. */
export interface Verdict {
  readonly action: 'clean' | Demand['action']
  /** What it is about, unless `clean`. */
  readonly kind: Quarantine
  /** Why, unless `clean`: `spam score 7.3 of 5`, `virus: Eicar-Test-Signature`. */
  readonly reason: string
  readonly score: number
  readonly symbols: readonly ScanSymbol[]
  /** Of single engines, as they said it. */
  readonly demands: readonly Demand[]
}

/** Weighs the scores against the thresholds of pipeline.conf and adds what single engines demand; the heaviest action wins. */
export function judge(runs: readonly EngineRun[], options: WeighOptions): Verdict {
  const { trusted } = options
  const sum = runs.reduce((total, { settings, result }) => total + settings.weight * result.score, 0)
  const score = Math.round(sum * 100) / 100
  const demands = runs.map(({ result }) => result.demand).filter((demand) => demand !== undefined)
  const heaviest = heaviestDemand(demands, score, options)
  const symbols = [...trustSymbols(trusted), ...runs.flatMap((run) => symbolsOf(run))]
  return { ...(heaviest ?? { action: 'clean', kind: 'spam', reason: '' }), score, symbols, demands }
}

function trustSymbols(trusted: string | undefined): readonly ScanSymbol[] {
  return trusted === undefined ? [] : [{ name: 'TRUSTED', score: 0, text: `${trusted}: not looked through for spam` }]
}

/** What counts, as it counts. An engine that gave no result says so. */
function symbolsOf({ settings: { engine, weight }, result }: EngineRun): readonly ScanSymbol[] {
  if (result.status !== 'ok') {
    const name = `${engine.name.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')}_${result.status.toUpperCase()}`
    return [{ name, score: 0, text: result.reason ?? 'no result' }, ...result.symbols]
  }
  if (weight === 1) return result.symbols
  if (weight === 0) return []
  return result.symbols.map((symbol) => ({ ...symbol, score: Math.round(symbol.score * weight * 100) / 100 }))
}
