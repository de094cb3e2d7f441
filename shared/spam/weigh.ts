import type { SpamThresholds } from '../config/model.ts'
import type { Quarantine } from '../mail/disposition.ts'

/** What must happen to the message at least, whatever the score. */
export interface Demand {
  readonly action: 'junk' | 'quarantine' | 'reject' | 'discard'
  readonly kind: Quarantine
  /** For the story and the list of held mail: `virus: Eicar-Test-Signature`. */
  readonly reason: string
}

export interface WeighOptions {
  readonly thresholds: SpamThresholds
  /** A rejection after the 250 is a bounce: it would reach who sent the message, and nobody else. */
  readonly mayReject: boolean
  /** Whose mail is clean by decree: neither score nor demand makes spam of it. A virus stays one. */
  readonly trusted?: string
}

/** From light to heavy. */
const actions = ['junk', 'quarantine', 'reject', 'discard'] as const

/**
 * The heaviest of what engines demand and what the score asks for by the thresholds; `undefined`: the message is clean. Where a
 * rejection would be backscatter, spam is junk instead, and what is dangerous is kept back.
 */
export function heaviestDemand(
  stated: readonly Demand[],
  score: number,
  { thresholds, mayReject, trusted }: WeighOptions,
): Demand | undefined {
  const demands = [...stated, byScore(score, thresholds)]
    .filter((demand) => demand !== undefined)
    .filter((demand) => trusted === undefined || demand.kind !== 'spam')
    .map((demand) => (mayReject ? demand : withoutBackscatter(demand)))
  return actions
    .toReversed()
    .map((action) => demands.find((demand) => demand.action === action))
    .find((demand) => demand !== undefined)
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
