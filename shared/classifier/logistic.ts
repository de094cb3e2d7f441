import type { Features } from './features.ts'

export interface Sample {
  readonly features: Features
  readonly isSpam: boolean
}

export interface TrainOptions {
  /** Weights are kept in 2^bits places. */
  readonly bits: number
  readonly epochs: number
  readonly rate: number
  /** Of the orders in which the messages are looked at: what comes out of each is averaged. */
  readonly seeds: readonly number[]
}

/** Chosen by cross-validation on real mail: docs/decisions/0009-classifier.md. */
export const defaultTraining: TrainOptions = { bits: 18, epochs: 10, rate: 1, seeds: [1, 2, 3] }

/** Log-odds of spam: the sum of the weights of a message's features, over the root of their number, and the bias in the last place. */
export function logOdds(weights: Float32Array, features: Features): number {
  const mask = weights.length - 2
  let sum = 0
  for (const feature of features) sum += weights[feature & mask] ?? 0
  return sum / Math.sqrt(features.length || 1) + (weights[weights.length - 1] ?? 0)
}

/** Logistic loss by AdaGrad; the same samples and options give the same weights. */
export function train(samples: readonly Sample[], options: TrainOptions = defaultTraining): Float32Array {
  const runs = options.seeds.map((seed) => trainOnce(samples, options, seed))
  const average = new Float32Array(2 ** options.bits + 1)
  for (const weights of runs)
    for (const [place, weight] of weights.entries()) average[place] = (average[place] ?? 0) + weight / runs.length
  return average
}

function trainOnce(samples: readonly Sample[], options: TrainOptions, seed: number): Float32Array {
  const weights = new Float32Array(2 ** options.bits + 1)
  const squares = new Float32Array(weights.length).fill(1e-8)
  const random = mulberry(seed)
  const order = [...samples]
  for (let epoch = 0; epoch < options.epochs; epoch += 1) {
    shuffle(order, random)
    for (const sample of order) learn(weights, squares, sample, options.rate)
  }
  return weights
}

function learn(weights: Float32Array, squares: Float32Array, { features, isSpam }: Sample, rate: number): void {
  const mask = weights.length - 2
  const error = 1 / (1 + Math.exp(-logOdds(weights, features))) - (isSpam ? 1 : 0)
  const share = error / Math.sqrt(features.length || 1)
  for (const feature of features) move(feature & mask, share)
  move(weights.length - 1, error)

  function move(place: number, gradient: number): void {
    const sum = (squares[place] ?? 0) + gradient * gradient
    squares[place] = sum
    weights[place] = (weights[place] ?? 0) - (rate * gradient) / Math.sqrt(sum)
  }
}

function shuffle(order: Sample[], random: () => number): void {
  for (let last = order.length - 1; last > 0; last -= 1) {
    const other = Math.floor(random() * (last + 1))
    const kept = order[last] as Sample
    order[last] = order[other] as Sample
    order[other] = kept
  }
}

/** A small generator with a seed (mulberry32): the model is to be the same each time it is built. */
function mulberry(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let value = Math.imul(state ^ (state >>> 15), state | 1)
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61)
    return ((value ^ (value >>> 14)) >>> 0) / 4_294_967_296
  }
}
