import { randomBytes } from 'node:crypto'
import { mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { openFile, readFully, closeFile } from './file-io.ts'
import { decodeHead, isSound, segmentSeed } from './frame.ts'
import { hasCode } from './free-space.ts'
import type { LiveRecord } from './message-table.ts'
import { parseSegmentPath, relocatedFile, relocatedFolder, relocatedRecord, segmentPath } from './segment-name.ts'
import { SpoolReadError } from './spool.ts'
import { syncDirectory } from './sync-directory.ts'

/** Called before each change of the disk, with its name; what it throws stops the cleaning there. */
export type OnStep = (step: string) => void | Promise<void>

/**
 * Copies records out of their segment into files of their own, and moves their content files; resolves when all of it is on
 * disk. May be stopped anywhere and repeated. @throws SpoolReadError when a record is not sound: then its segment must stay.
 */
export async function relocateRecords(path: string, records: readonly LiveRecord[], onStep: OnStep): Promise<void> {
  await makeFolder(path, relocatedFolder)
  for (let start = 0; start < records.length; start += atOnce) {
    const batch = records.slice(start, start + atOnce)
    await onStep('copy records')
    await Promise.all(batch.map((record) => copyRecord(path, record)))
  }
  await syncDirectory(join(path, relocatedFolder))
  for (const record of records) await moveContent(path, record, onStep)
}

/** Writes a file among the relocated ones; nobody sees it before it is complete and on disk. */
export async function writeRelocated(path: string, file: string, buffers: readonly Buffer[]): Promise<void> {
  await makeFolder(path, dirname(file))
  const making = join(path, dirname(file), `.${randomBytes(8).toString('hex')}`)
  try {
    const handle = await open(making, 'wx', 0o640)
    try {
      await handle.writev(buffers)
      await handle.datasync()
    } finally {
      await handle.close()
    }
    await rename(making, join(path, file))
  } catch (error) {
    await rm(making, { force: true })
    throw error
  }
}

const atOnce = 32

async function makeFolder(path: string, name: string): Promise<void> {
  const made = await mkdir(join(path, name), { recursive: true, mode: 0o750 })
  if (made !== undefined) await syncDirectory(path)
}

async function copyRecord(path: string, { locator }: LiveRecord): Promise<void> {
  const { segment, offset, recordBytes } = locator
  const fd = await openFile(join(path, segment), 'r')
  const frame = Buffer.allocUnsafe(recordBytes)
  try {
    await readFully(fd, frame, offset)
  } finally {
    await closeFile(fd)
  }
  const head = decodeHead(frame, segmentSeed(segment))
  if (head === undefined || !isSound(head, frame)) {
    throw new SpoolReadError(`the record at ${offset} of ${segment} is damaged`)
  }
  await writeRelocated(path, relocatedRecord(segment, offset), [frame])
}

/** Readers look in the writer's folder first and here after: the file is in one of them at any time. */
async function moveContent(path: string, { locator, largeFile }: LiveRecord, onStep: OnStep): Promise<void> {
  const writer = parseSegmentPath(locator.segment)?.writer
  if (largeFile === 0 || writer === undefined) return
  const from = segmentPath(writer, largeFile, 'big')
  await onStep('move content')
  try {
    await rename(join(path, from), join(path, relocatedFile(from)))
  } catch (error) {
    // Moved before the cleaning was stopped last time.
    if (!hasCode(error, 'ENOENT')) throw error
  }
  await syncDirectory(join(path, relocatedFolder))
  await syncDirectory(join(path, dirname(from)))
}
