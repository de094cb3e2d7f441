import { createHash } from 'node:crypto'

import type { Features } from './features.ts'
import { logOdds } from './logistic.ts'

/** What judges mail: weights, and what their sum is worth. */
export interface Model {
  /** `starter-1a2b3c4d`, `site-...`: recorded with each verdict. */
  readonly version: string
  /** 2^n places and the bias. */
  readonly weights: Float32Array
  /** Log-odds that are worth 5 points. */
  readonly junkAt: number
  /** It counts no more than these points, however sure it is. */
  readonly mostPoints: number
  /** Messages it was made of. */
  readonly ham: number
  readonly spam: number
}

export interface Judgement {
  readonly logOdds: number
  /** Negative for what looks like ham. */
  readonly points: number
}

/** What is written; its version follows from its content. */
export type NewModel = Omit<Model, 'version'> & { readonly name: string }

export class ModelError extends Error {
  override readonly name = 'ModelError'
}

const format = 1
const junkPoints = 5
/** Being ordinary does not outweigh what other engines find. */
const fewestPoints = -1.5
const pointsForOrdinary = 0.3
const steps = 127

export function judge(model: Model, features: Features): Judgement {
  const value = logOdds(model.weights, features)
  const points =
    value > 0
      ? Math.min(model.mostPoints, (junkPoints * value) / model.junkAt)
      : Math.max(fewestPoints, value * pointsForOrdinary)
  return { logOdds: value, points }
}

/** One line of JSON, then the weights in 8 bits each: a quarter of a megabyte that judges as well as four do. */
export function encodeModel({ name, weights, junkAt, mostPoints, ham, spam }: NewModel): Buffer {
  const places = weights.subarray(0, -1)
  const scale = places.reduce((most, weight) => Math.max(most, Math.abs(weight)), 1e-6)
  const octets = Int8Array.from(places, (weight) => Math.round((weight / scale) * steps))
  const body = Buffer.from(octets.buffer)
  const bias = weights.at(-1) ?? 0
  const sum = createHash('sha256').update(body).digest('hex')
  const version = `${name}-${sum.slice(0, 8)}`
  const head = { format, version, sha256: sum, scale, bias, junkAt, mostPoints, ham, spam }
  return Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), body])
}

/** @throws ModelError for what is damaged, cut off or of another format */
export function decodeModel(file: Buffer): Model {
  const end = file.indexOf(0x0a)
  const body = file.subarray(end + 1)
  const head = headOf(file.toString('utf8', 0, Math.max(0, Math.min(end, 4_096))))
  if (head['format'] !== format) throw new ModelError(`format ${String(head['format'])} is not known, only ${format}`)
  if (createHash('sha256').update(body).digest('hex') !== head['sha256'])
    throw new ModelError('the weights are damaged')
  if (body.length < 2 || (body.length & (body.length - 1)) !== 0)
    throw new ModelError('the number of weights is no power of two')
  const number = (name: string): number => {
    const value = head[name]
    if (typeof value !== 'number' || !Number.isFinite(value)) throw new ModelError(`"${name}" is no number`)
    return value
  }
  const scale = number('scale')
  const weights = new Float32Array(body.length + 1)
  for (const [place, octet] of new Int8Array(body).entries()) weights[place] = (octet / steps) * scale
  weights[body.length] = number('bias')
  return {
    version: String(head['version']),
    weights,
    junkAt: number('junkAt'),
    mostPoints: number('mostPoints'),
    ham: number('ham'),
    spam: number('spam'),
  }
}

function headOf(line: string): Readonly<Record<string, unknown>> {
  try {
    const head: unknown = JSON.parse(line)
    if (typeof head === 'object' && head !== null) return head as Readonly<Record<string, unknown>>
  } catch {
    // Said below.
  }
  throw new ModelError('it does not begin with a line of JSON')
}
