import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

import { hasCode } from './free-space.ts'
import { aliveFile, isWriterName, parseFileName, parseRelocatedName, relocatedFolder } from './segment-name.ts'
import type { RelocatedName, SegmentName } from './segment-name.ts'

export interface WriterListing {
  readonly name: string
  readonly hasAlive: boolean
  readonly files: readonly SegmentName[]
}

export interface RelocatedListing {
  readonly file: string
  readonly origin: RelocatedName
}

export interface SpoolListing {
  readonly writers: readonly WriterListing[]
  readonly relocated: readonly RelocatedListing[]
}

/**
 * Everything in the spool folder. The relocated files are listed last: cleaning puts a copy there before it deletes the
 * original, so that a record that is missing in its writer's folder is seen there.
 */
export async function listSpool(path: string): Promise<SpoolListing> {
  const names = (await listFolder(path)).filter(isWriterName)
  const writers = await Promise.all(names.map((name) => listWriter(path, name)))
  const relocated = await listFolder(join(path, relocatedFolder))
  return {
    writers,
    relocated: relocated.flatMap((file) => {
      const origin = parseRelocatedName(file)
      return origin === undefined ? [] : [{ file, origin }]
    }),
  }
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
