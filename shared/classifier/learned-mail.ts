import { createHash } from 'node:crypto'
import { appendFile, mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'

import type { Features } from './features.ts'
import type { Sample } from './logistic.ts'
import { withFileLock } from '../file-lock.ts'

/** A message somebody has said what it is. Of the message itself only its features are kept. */
export interface Learned extends Sample {
  /** Of its features: the same message is the same wherever it lies. */
  readonly id: string
}

/** The newest count: what people send changes. */
const mostLearned = 20_000
/** Lines that no longer count are dropped when there are as many as that. */
const mostWaste = 5_000

export function learnedOf(features: Features, isSpam: boolean): Learned {
  const sorted = features.toSorted()
  const id = createHash('sha256').update(octetsOf(sorted)).digest('hex').slice(0, 24)
  return { id, isSpam, features: sorted }
}

/** From the oldest to the newest; the last word about a message counts. A line that was cut off is skipped; no file is no mail. */
export async function readLearned(path: string): Promise<readonly Learned[]> {
  return [...(await readKnown(path)).known.values()].slice(-mostLearned)
}

/** Adds what is not known as such; tells how many that were. */
export async function learn(path: string, messages: readonly Learned[]): Promise<number> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  return withFileLock(`${path}.lock`, async () => {
    const { known, lines } = await readKnown(path)
    const fresh = new Map(
      messages.filter(({ id, isSpam }) => known.get(id)?.isSpam !== isSpam).map((one) => [one.id, one]),
    )
    await write(path, known, lines, [...fresh.values()].map(lineOf))
    return fresh.size
  })
}

/** Takes back what was learned of these messages, as ham or as spam; tells how many were known. */
export async function forget(path: string, ids: readonly string[]): Promise<number> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  return withFileLock(`${path}.lock`, async () => {
    const { known, lines } = await readKnown(path)
    const gone = [...new Set(ids)].filter((id) => known.has(id))
    await write(
      path,
      known,
      lines,
      gone.map((id) => `${JSON.stringify({ id, is: 'forgotten' })}\n`),
    )
    return gone.length
  })
}

interface Known {
  readonly known: ReadonlyMap<string, Learned>
  readonly lines: number
}

async function readKnown(path: string): Promise<Known> {
  const known = new Map<string, Learned>()
  const lines = (await textOf(path)).split('\n')
  for (const line of lines) {
    const entry = parseLine(line)
    if (entry === undefined) continue
    known.delete(entry.id)
    if ('features' in entry) known.set(entry.id, entry)
  }
  return { known, lines: lines.length }
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'latin1')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return ''
    throw error
  }
}

/** Appends; with much waste the file is written anew, and takes its place at once. */
async function write(path: string, known: Known['known'], lines: number, added: readonly string[]): Promise<void> {
  if (lines - Math.min(known.size, mostLearned) < mostWaste) return appendFile(path, added.join(''), { mode: 0o600 })
  const kept = [...known.values()].slice(-mostLearned).map(lineOf)
  const next = `${path}.${process.pid}`
  await writeFile(next, [...kept, ...added].join(''), { mode: 0o600 })
  await rename(next, path)
}

function lineOf({ id, isSpam, features }: Learned): string {
  return `${JSON.stringify({ id, is: isSpam ? 'spam' : 'ham', features: octetsOf(features).toString('base64') })}\n`
}

function parseLine(line: string): Learned | { readonly id: string } | undefined {
  if (!line.endsWith('}')) return undefined
  try {
    const { id, is, features } = JSON.parse(line) as Readonly<Record<string, unknown>>
    if (typeof id !== 'string') return undefined
    if (is === 'forgotten') return { id }
    if (typeof features !== 'string' || (is !== 'spam' && is !== 'ham')) return undefined
    return { id, isSpam: is === 'spam', features: featuresFrom(Buffer.from(features, 'base64')) }
  } catch {
    return undefined
  }
}

/** Differences of the sorted hashes, seven bits in an octet, the least first. */
function octetsOf(sorted: Features): Buffer {
  const octets = Buffer.allocUnsafe(sorted.length * 5)
  let length = 0
  let before = 0
  for (const feature of sorted) {
    let left = feature - before
    before = feature
    while (left >= 0x80) {
      octets[length++] = (left % 0x80) | 0x80
      left = Math.floor(left / 0x80)
    }
    octets[length++] = left
  }
  return octets.subarray(0, length)
}

function featuresFrom(octets: Buffer): Features {
  const features: number[] = []
  let before = 0
  let value = 0
  let unit = 1
  for (const octet of octets) {
    value += (octet & 0x7f) * unit
    unit *= 0x80
    if (octet >= 0x80) continue
    before += value
    features.push(before)
    value = 0
    unit = 1
  }
  return Uint32Array.from(features)
}
