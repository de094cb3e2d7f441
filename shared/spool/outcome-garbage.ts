import { rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

import type { MessageId } from '../mail/message-id.ts'
import { closeFile, openFile, readFully } from './file-io.ts'
import { frameBytes } from './frame.ts'
import type { LiveIndex } from './live-index.ts'
import { decodeKeys } from './outcome-record.ts'
import { writeRelocated } from './relocate.ts'
import type { OnStep } from './relocate.ts'
import { scanSegment } from './scan.ts'
import { relocatedFile, relocatedLogFolder } from './segment-name.ts'
import type { OutcomeLogFile } from './spool-files.ts'
import { SpoolReadError } from './spool.ts'
import { syncDirectory } from './sync-directory.ts'

/**
 * Deletes an outcome log when none of the messages it speaks of has a record on disk. When few do, their outcomes are
 * copied and the rest deleted: deferred mail does not pin a log. Returns the octets that were freed.
 */
export async function cleanOutcomeLog(
  index: LiveIndex,
  log: OutcomeLogFile,
  { nowAt, lookAgainMs, onStep }: OutcomeGarbageOptions,
): Promise<number> {
  const kept = index.keptLog(log.path)
  if (kept !== undefined && nowAt - kept.lookedAt < lookAgainMs && index.hasRecord(kept.id)) return 0
  const path = join(index.path, log.path)
  const { size } = await stat(path)
  const needed = await findNeeded(index, log, path)
  const [first] = needed
  if (first === undefined) {
    await onStep('delete outcome log')
    await rm(path, { force: true })
    return size
  }
  const neededBytes = needed.reduce((sum, { bytes }) => sum + bytes, 0)
  if (log.path !== log.origin || neededBytes > size * copyBelowShare) {
    index.keepLog(log.path, { id: first.id, lookedAt: nowAt })
    return 0
  }
  await onStep('copy outcomes')
  await copyOutcomes(index.path, log.origin, path, needed)
  await onStep('delete copied outcome log')
  await rm(path, { force: true })
  return size - neededBytes
}

export interface OutcomeGarbageOptions {
  readonly nowAt: number
  /** A log that is kept is not gone through again before this. */
  readonly lookAgainMs: number
  readonly onStep: OnStep
}

interface NeededRecord {
  readonly id: MessageId
  readonly offset: number
  readonly bytes: number
}

const copyBelowShare = 0.2

async function findNeeded(index: LiveIndex, log: OutcomeLogFile, path: string): Promise<readonly NeededRecord[]> {
  const needed: NeededRecord[] = []
  let isDamaged = false
  const fd = await openFile(path, 'r')
  try {
    const { size } = await scanSegment({
      fd,
      segment: log.origin,
      from: 0,
      withContent: true,
      visit: ({ head, offset, content }) => {
        for (const { id } of decodeKeys(content)) {
          if (!index.hasRecord(id)) continue
          needed.push({ id, offset, bytes: frameBytes(head) })
          return
        }
      },
      onDamage: () => {
        isDamaged = true
      },
    })
    if (isDamaged) throw new SpoolReadError(`${log.path} is damaged (${size} octets): it stays for the operator`)
  } finally {
    await closeFile(fd)
  }
  return needed
}

/** Copies whole records, so that their checksums stand. */
async function copyOutcomes(
  spoolPath: string,
  origin: string,
  path: string,
  needed: readonly NeededRecord[],
): Promise<void> {
  const fd = await openFile(path, 'r')
  try {
    const frames: Buffer[] = []
    for (const { offset, bytes } of needed) {
      const frame = Buffer.allocUnsafe(bytes)
      await readFully(fd, frame, offset)
      frames.push(frame)
    }
    await writeRelocated(spoolPath, relocatedFile(origin), [Buffer.concat(frames)])
  } finally {
    await closeFile(fd)
  }
  await syncDirectory(join(spoolPath, relocatedLogFolder))
}
