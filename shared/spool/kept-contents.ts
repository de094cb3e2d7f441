import type { LiveIndex } from './live-index.ts'
import { parseSegmentPath, segmentPath } from './segment-name.ts'

export interface KeepLimits {
  /** Settled messages stay this long in any case. */
  readonly leastMs: number
  /** Absent: no longer. */
  readonly keepMs?: number
  /** Octets that they may have together; absent: as many as are left to them. */
  readonly maxBytes?: number
}

/**
 * How long settled messages may stay for the sake of replays: as long as it is said, unless they would have more than the size that is said, or
 * more than half of what they and the free space are together. The oldest go first: new mail is never refused for their sake.
 */
export async function keepTimeOf(
  index: LiveIndex,
  limits: KeepLimits,
  now: { readonly at: number; freeBytes(): Promise<number> },
): Promise<number> {
  const { leastMs, keepMs = 0, maxBytes = Number.POSITIVE_INFINITY } = limits
  if (keepMs <= leastMs) return leastMs
  const files = (await settledFiles(index)).toSorted((one, other) => other.settledAt - one.settledAt)
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0)
  const allowed = Math.min(maxBytes, (total + (await now.freeBytes())) / 2)
  let sum = 0
  for (const { bytes, settledAt } of files) {
    sum += bytes
    if (sum > allowed) return Math.max(leastMs, Math.min(keepMs, now.at - settledAt))
  }
  return keepMs
}

interface SettledFile {
  readonly bytes: number
  readonly settledAt: number
}

async function settledFiles(index: LiveIndex): Promise<readonly SettledFile[]> {
  const files: SettledFile[] = []
  for (const { path, isDeleted, live, sizeBytes, settledAt, settledLargeFiles } of index.segments()) {
    if (!isDeleted && live === 0) files.push({ bytes: sizeBytes, settledAt })
    const writer = parseSegmentPath(path)?.writer ?? ''
    for (const sequence of settledLargeFiles) {
      const file = await index.volume.stat(segmentPath(writer, sequence, 'big'))
      if (file !== undefined) files.push({ bytes: file.size, settledAt: file.mtimeMs })
    }
  }
  return files
}
