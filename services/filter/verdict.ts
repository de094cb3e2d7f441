import type { SpamThresholds } from '../../shared/config/model.ts'
import type { Quarantine } from '../../shared/mail/disposition.ts'
import type { Demand, ScanSymbol } from './engine.ts'
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
}

export interface JudgeOptions {
  readonly thresholds: SpamThresholds
  /** A rejection after the 250 is a bounce: it would reach who sent the message, and nobody else. */
  readonly mayReject: boolean
  /** Whose mail is clean by decree: neither score nor demand makes spam of it. A virus stays one. */
  readonly trusted?: string
}

/** From light to heavy. */
const actions = ['junk', 'quarantine', 'reject', 'discard'] as const

/**
 * Weighs the scores against the thresholds of pipeline.conf and adds what single engines demand; the heaviest action wins. Where a
 * rejection would be backscatter, spam is junk instead, and what is dangerous is kept back.
 */
export function judge(runs: readonly EngineRun[], { thresholds, mayReject, trusted }: JudgeOptions): Verdict {
  const sum = runs.reduce((total, { settings, result }) => total + settings.weight * result.score, 0)
  const score = Math.round(sum * 100) / 100
  const demands = [...runs.map(({ result }) => result.demand), byScore(score, thresholds)]
    .filter((demand) => demand !== undefined)
    .filter((demand) => trusted === undefined || demand.kind !== 'spam')
    .map((demand) => (mayReject ? demand : withoutBackscatter(demand)))
  const heaviest = actions
    .toReversed()
    .map((action) => demands.find((demand) => demand.action === action))
    .find((demand) => demand !== undefined)
  const symbols = [...trustSymbols(trusted), ...runs.flatMap((run) => symbolsOf(run))]
  return { ...(heaviest ?? { action: 'clean', kind: 'spam', reason: '' }), score, symbols }
}

function trustSymbols(trusted: string | undefined): readonly ScanSymbol[] {
  return trusted === undefined ? [] : [{ name: 'TRUSTED', score: 0, text: `${trusted}: not looked through for spam` }]
}

function byScore(score: number, thresholds: SpamThresholds): Demand | undefined {
  const action = actions.findLast((one) => {
    const threshold = thresholds[one]
    return threshold !== undefined && score >= threshold
  })
  if (action === undefined) return undefined
  return { action, kind: 'spam', reason: `spam score ${score} of ${thresholds[action]}` }
}

function withoutBackscatter(demand: Demand): Demand {
  if (demand.action !== 'reject') return demand
  return { ...demand, action: demand.kind === 'spam' ? 'junk' : 'quarantine' }
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
