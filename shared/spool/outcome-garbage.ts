import { join } from 'node:path'

import type { MessageId } from '../mail/message-id.ts'
import { readFully } from './file-io.ts'
import { frameBytes } from './frame.ts'
import type { LiveIndex } from './live-index.ts'
import { decodeKeys } from './outcome-record.ts'
import { writeRelocated } from './relocate.ts'
import type { OnStep } from './relocate.ts'
import { scanSegment } from './scan.ts'
import type { ScannedFrame } from './scan.ts'
import { relocatedFile, relocatedLogFolder } from './segment-name.ts'
import type { OutcomeLogFile } from './spool-files.ts'
import { SpoolReadError } from './spool.ts'
import { syncDirectory } from './sync-directory.ts'
import type { SpoolVolume } from './volume.ts'

/**
 * Deletes an outcome log when none of the messages it speaks of has a record on disk. When few do, their outcomes are
 * copied and the rest deleted, where files are in a folder: deferred mail does not pin a log. Returns the octets that were freed.
 */
export async function cleanOutcomeLog(
  index: LiveIndex,
  log: OutcomeLogFile,
  { nowAt, lookAgainMs, onStep }: OutcomeGarbageOptions,
): Promise<number> {
  const kept = index.keptLog(log.path)
  if (kept !== undefined && nowAt - kept.lookedAt < lookAgainMs && index.hasRecord(kept.id)) return 0
  const { volume } = index
  const size = (await volume.sizeOf(log.path)) ?? 0
  const needed = await findNeeded(index, log)
  if (needed === undefined) return 0
  const [first] = needed
  if (first === undefined) {
    await onStep('delete outcome log')
    await volume.remove(log.path)
    return size
  }
  const neededBytes = needed.reduce((sum, { bytes }) => sum + bytes, 0)
  const { folder } = volume
  if (folder === undefined || log.path !== log.origin || neededBytes > size * copyBelowShare) {
    index.keepLog(log.path, { id: first.id, lookedAt: nowAt })
    return 0
  }
  await onStep('copy outcomes')
  await copyOutcomes(volume, folder, log, needed)
  await onStep('delete copied outcome log')
  await volume.remove(log.path)
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

/** `undefined` when the log is gone. */
async function findNeeded(index: LiveIndex, log: OutcomeLogFile): Promise<readonly NeededRecord[] | undefined> {
  const needed: NeededRecord[] = []
  let isDamaged = false
  const visit = ({ head, offset, content }: ScannedFrame): void => {
    for (const { id } of decodeKeys(content)) {
      if (!index.hasRecord(id)) continue
      needed.push({ id, offset, bytes: frameBytes(head) })
      return
    }
  }
  const onDamage = (): void => {
    isDamaged = true
  }
  const scanned = await index.volume.withFile(log.path, (fd) =>
    scanSegment({ fd, segment: log.origin, from: 0, withContent: true, visit, onDamage }),
  )
  if (scanned === undefined) return undefined
  if (isDamaged) throw new SpoolReadError(`${log.path} is damaged (${scanned.size} octets): it stays for the operator`)
  return needed
}

/** Copies whole records, so that their checksums stand. */
async function copyOutcomes(
  volume: SpoolVolume,
  folder: string,
  log: OutcomeLogFile,
  needed: readonly NeededRecord[],
): Promise<void> {
  await volume.withFile(log.path, async (fd) => {
    const frames: Buffer[] = []
    for (const { offset, bytes } of needed) {
      const frame = Buffer.allocUnsafe(bytes)
      await readFully(fd, frame, offset)
      frames.push(frame)
    }
    await writeRelocated(folder, relocatedFile(log.origin), [Buffer.concat(frames)])
  })
  await syncDirectory(join(folder, relocatedLogFolder))
}
