import type { Learned } from './learned-mail.ts'
import { defaultTraining, logOdds, train } from './logistic.ts'
import type { Model, NewModel } from './model.ts'

/** From so many messages on, with some of either kind, what was learned here says more than what came with Sluice. */
const fewestLearned = 200
const fewestOfAKind = 50
const folds = 5
/** How much of the starter is left; what predicts unseen mail of this site best is taken. */
const shares = [0, 0.25, 0.5, 0.75, 1]
const temperatures = [0.125, 0.25, 0.5, 1]
/** So much ham may be worth 5 points. */
const falsePositives = 0.003
const margin = 0.25
const [lowestJunkAt, highestJunkAt] = [2.2, 6]
const mostPoints = 10
const quickTraining = { ...defaultTraining, seeds: [1], epochs: 6 }

export interface TooFew {
  readonly ham: number
  readonly spam: number
  /** Of ham and of spam that are needed. */
  readonly each: number
  readonly inAll: number
}

/** Absent when there is enough to learn from. */
export function tooFew(learned: readonly Learned[]): TooFew | undefined {
  const spam = learned.filter(({ isSpam }) => isSpam).length
  const ham = learned.length - spam
  if (learned.length >= fewestLearned && Math.min(ham, spam) >= fewestOfAKind) return undefined
  return { ham, spam, each: fewestOfAKind, inAll: fewestLearned }
}

/**
 * A model of what was learned here and of the starter, mixed as it judges best the mail it has not seen: each fifth of the messages is
 * judged by what the others teach. Takes about a millisecond for each message.
 */
export function trainSite(learned: readonly Learned[], starter: Model): NewModel {
  const unseen = judgeUnseen(learned, starter)
  const [share] = shares
    .map((one) => [one, lossOf(unseen, one)] as const)
    .reduce((best, other) => (other[1] < best[1] ? other : best))
  const own = train(learned)
  return {
    name: 'site',
    weights: own.map((weight, place) => (1 - share) * weight + share * (starter.weights[place] ?? 0)),
    junkAt: junkAtOf(unseen, share),
    mostPoints,
    ham: learned.filter(({ isSpam }) => !isSpam).length,
    spam: learned.filter(({ isSpam }) => isSpam).length,
  }
}

interface Unseen {
  readonly isSpam: boolean
  readonly own: number
  readonly starter: number
}

function judgeUnseen(learned: readonly Learned[], starter: Model): readonly Unseen[] {
  const unseen: Unseen[] = []
  for (let fold = 0; fold < folds; fold += 1) {
    const weights = train(
      learned.filter((one) => foldOf(one) !== fold),
      quickTraining,
    )
    for (const one of learned) {
      if (foldOf(one) !== fold) continue
      const { isSpam, features } = one
      unseen.push({ isSpam, own: logOdds(weights, features), starter: logOdds(starter.weights, features) })
    }
  }
  return unseen
}

function foldOf({ id }: Learned): number {
  return Number.parseInt(id.slice(0, 6), 16) % folds
}

function mixed({ own, starter }: Unseen, share: number): number {
  return (1 - share) * own + share * starter
}

/** Logistic loss, for the scale that suits it. */
function lossOf(unseen: readonly Unseen[], share: number): number {
  const losses = temperatures.map((temperature) =>
    unseen.reduce((sum, one) => sum + Math.log1p(Math.exp((one.isSpam ? -1 : 1) * temperature * mixed(one, share))), 0),
  )
  return Math.min(...losses)
}

function junkAtOf(unseen: readonly Unseen[], share: number): number {
  const ham = unseen.filter(({ isSpam }) => !isSpam).map((one) => mixed(one, share))
  const allowed = Math.floor(ham.length * falsePositives)
  const highest = ham.toSorted((one, other) => other - one)[allowed] ?? 0
  return Math.min(highestJunkAt, Math.max(lowestJunkAt, highest + margin))
}
