import { Readable } from 'node:stream'

import { convertContent, surveyContent } from '../mail/seven-bit-content.ts'
import type { Rereadable } from '../mail/seven-bit-content.ts'
import { SevenBitConverter } from '../mail/seven-bit.ts'
import type { SevenBitNeed, SevenBitPlan } from '../mail/seven-bit.ts'
import type { SpooledMessage } from '../spool/spool.ts'

/** Up to this size the message is converted in memory. */
const inMemoryBytes = 262_144

/** What the message needs to be one of 7-bit octets. */
export async function sevenBitNeed(stored: SpooledMessage): Promise<SevenBitNeed> {
  return surveyContent(await rereadable(stored))
}

/** The message as a `seven-bit` edit has it; the stored one when there is nothing to do. The same octets give the same view each time. */
export async function sevenBitView(stored: SpooledMessage): Promise<SpooledMessage> {
  const source = await rereadable(stored)
  const need = await surveyContent(source)
  return 'plan' in need ? viewOf(stored, source, need.plan) : stored
}

async function viewOf(stored: SpooledMessage, source: Rereadable, plan: SevenBitPlan): Promise<SpooledMessage> {
  const { envelope, edits, revision, locator } = stored
  const header = Buffer.concat(new SevenBitConverter(plan).push(await stored.header()))
  const { sizeBytes, read } = await convertContent(source, plan)
  return {
    envelope,
    edits,
    revision,
    locator: { ...locator, sizeBytes, headerBytes: header.length },
    header: async () => header,
    content: async () => Buffer.concat(await piecesOf(read())),
    stream: (start = 0) => Readable.from(from(read(), start)),
  }
}

async function rereadable(stored: SpooledMessage): Promise<Rereadable> {
  const { sizeBytes } = stored.locator
  if (sizeBytes > inMemoryBytes) return { sizeBytes, read: () => stored.stream() }
  const content = [await stored.content()]
  return { sizeBytes, read: () => content }
}

async function piecesOf(content: Iterable<Buffer> | AsyncIterable<Buffer>): Promise<readonly Buffer[]> {
  const pieces: Buffer[] = []
  for await (const piece of content) pieces.push(piece)
  return pieces
}

async function* from(content: Iterable<Buffer> | AsyncIterable<Buffer>, start: number): AsyncIterable<Buffer> {
  let skipped = 0
  for await (const piece of content) {
    const skip = Math.min(start - skipped, piece.length)
    skipped += skip
    if (skip < piece.length) yield piece.subarray(skip)
  }
}
