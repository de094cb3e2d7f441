import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

import { hasCode } from './free-space.ts'
import {
  aliveFile,
  isWriterName,
  parseFileName,
  parseRelocatedName,
  relocatedFolder,
  relocatedLogFolder,
  segmentPath,
} from './segment-name.ts'
import type { RelocatedName, SegmentName } from './segment-name.ts'

export interface WriterListing {
  readonly name: string
  readonly hasAlive: boolean
  /** Nothing is ever added to a segment that is there: so it is in a bucket. */
  readonly segmentsAreComplete?: boolean
  readonly files: readonly SegmentName[]
}

export interface RelocatedListing {
  /** Below the spool folder. */
  readonly path: string
  readonly origin: RelocatedName
}

/** An outcome log. */
export interface OutcomeLogFile {
  /** Where it lies, below the spool folder. */
  readonly path: string
  /** The segment it was written as: what its checksums start from. */
  readonly origin: string
  /** Nobody writes it any more. */
  readonly isClosed: boolean
}

export interface SpoolListing {
  readonly writers: readonly WriterListing[]
  /** Moved records and contents. */
  readonly relocated: readonly RelocatedListing[]
  readonly outcomeLogs: readonly OutcomeLogFile[]
}

/**
 * Everything in the spool folder. Relocated files are listed last: cleaning puts a copy there before it deletes the
 * original, so that what is missing in its writer's folder is seen there.
 */
export async function listSpool(path: string): Promise<SpoolListing> {
  const writers = await listWriters(path)
  const relocated = await listRelocated(path, relocatedFolder)
  return { writers, relocated, outcomeLogs: await outcomeLogsOf(path, writers) }
}

/** Only the outcome logs; does not go through the relocated records. */
export async function listOutcomeLogs(path: string): Promise<readonly OutcomeLogFile[]> {
  return outcomeLogsOf(path, await listWriters(path))
}

/** The segments of a kind with whether they are closed: of dead writers all, of living ones all but the last. */
export function* segmentsOf(
  writers: readonly WriterListing[],
  extension: 'msg' | 'out',
): Generator<{ readonly path: string; readonly isClosed: boolean }> {
  for (const { name, hasAlive, segmentsAreComplete = false, files } of writers) {
    const mayGrow = hasAlive && !segmentsAreComplete
    const own = files.filter((file) => file.extension === extension)
    for (const [index, { sequence }] of own.entries()) {
      yield { path: segmentPath(name, sequence, extension), isClosed: !mayGrow || index < own.length - 1 }
    }
  }
}

async function outcomeLogsOf(path: string, writers: readonly WriterListing[]): Promise<readonly OutcomeLogFile[]> {
  const logs: OutcomeLogFile[] = []
  for (const segment of segmentsOf(writers, 'out')) logs.push({ ...segment, origin: segment.path })
  for (const moved of await listRelocated(path, relocatedLogFolder)) {
    logs.push({ path: moved.path, origin: moved.origin.segment, isClosed: true })
  }
  return logs
}

async function listWriters(path: string): Promise<readonly WriterListing[]> {
  const names = (await listFolder(path)).filter(isWriterName)
  return Promise.all(names.map((name) => listWriter(path, name)))
}

async function listRelocated(path: string, folder: string): Promise<readonly RelocatedListing[]> {
  const files = await listFolder(join(path, folder))
  return files.flatMap((file) => {
    const origin = parseRelocatedName(file)
    return origin === undefined ? [] : [{ path: `${folder}/${file}`, origin }]
  })
}

async function listWriter(path: string, name: string): Promise<WriterListing> {
  const names = await listFolder(join(path, name))
  const files = names.flatMap((file) => parseFileName(name, file) ?? [])
  files.sort((one, other) => one.sequence - other.sequence)
  return { name, hasAlive: names.includes(aliveFile), files }
}

/** The names in a folder; none when it is gone. */
async function listFolder(path: string): Promise<readonly string[]> {
  try {
    return await readdir(path)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return []
    throw error
  }
}
