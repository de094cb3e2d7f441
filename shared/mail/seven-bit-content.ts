import { isAscii } from 'node:buffer'

import { SevenBitConverter, SevenBitSurvey } from './seven-bit.ts'
import type { SevenBitNeed, SevenBitPlan } from './seven-bit.ts'

type Octets = readonly Buffer[] | AsyncIterable<Buffer>

/** A message that can be read again and again: in memory, or in chunks. */
export interface Rereadable {
  readonly sizeBytes: number
  readonly read: () => Octets
}

/**
 * What a message needs for a host without 8BITMIME. Content of octets below 128 is read once, other content twice; no more than a
 * header section of it is held. @throws what reading the content throws
 */
export async function surveyContent(content: Rereadable): Promise<SevenBitNeed> {
  if (await isSevenBit(content.read())) return { kind: 'nothing' }
  const survey = new SevenBitSurvey()
  for await (const chunk of content.read()) survey.push(chunk)
  return survey.end()
}

/** The content by a plan that was made for it; read once to know its size. @throws what reading the content throws */
export async function convertContent(content: Rereadable, plan: SevenBitPlan): Promise<Rereadable> {
  const read = content.read()
  if (Array.isArray(read)) {
    const pieces = convertedPieces(read as readonly Buffer[], plan)
    return { sizeBytes: lengthOf(pieces), read: () => pieces }
  }
  let sizeBytes = 0
  for await (const chunk of convertedStream(read, plan)) sizeBytes += chunk.length
  return { sizeBytes, read: () => convertedStream(content.read(), plan) }
}

async function isSevenBit(content: Octets): Promise<boolean> {
  for await (const chunk of content) if (!isAscii(chunk)) return false
  return true
}

function convertedPieces(content: readonly Buffer[], plan: SevenBitPlan): readonly Buffer[] {
  const converter = new SevenBitConverter(plan)
  return [...content.flatMap((chunk) => converter.push(chunk)), ...converter.end()]
}

async function* convertedStream(content: Octets, plan: SevenBitPlan): AsyncIterable<Buffer> {
  const converter = new SevenBitConverter(plan)
  for await (const chunk of content) {
    const pieces = converter.push(chunk)
    if (pieces.length > 0) yield Buffer.concat(pieces)
  }
  yield Buffer.concat(converter.end())
}

function lengthOf(pieces: readonly Buffer[]): number {
  return pieces.reduce((sum, piece) => sum + piece.length, 0)
}
