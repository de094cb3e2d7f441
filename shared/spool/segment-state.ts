import { headBytes } from './frame.ts'
import type { FrameHead } from './frame.ts'

type Weight = Pick<FrameHead, 'metaBytes' | 'contentBytes' | 'largeFile'>

/** What a live index knows of one segment of message records. */
export class SegmentState {
  /** `<writer>/<sequence>.msg`, also after its live records were moved out of it. */
  readonly path: string
  /** Behind the last record that was read. */
  end = 0
  /** Octets of the file at the last look. */
  sizeBytes = 0
  /** It was closed when it was read last: nothing more will come. */
  isComplete = false
  /** The file was deleted; records of it may live on where they were moved to. */
  isDeleted = false
  /** Gaps between its records; such a segment is never deleted by itself. */
  damages = 0
  records = 0
  live = 0
  liveBytes = 0
  /** Time of the newest outcome that settled one of its messages. */
  settledAt = 0
  /** Content files of live, and of settled messages. */
  readonly liveLargeFiles = new Set<number>()
  readonly settledLargeFiles = new Set<number>()

  constructor(path: string) {
    this.path = path
  }

  add(head: Weight): void {
    this.records += 1
    this.live += 1
    this.liveBytes += weigh(head)
    if (head.largeFile > 0) this.liveLargeFiles.add(head.largeFile)
  }

  settle(head: Weight, at: number): void {
    this.live -= 1
    this.liveBytes -= weigh(head)
    this.settledAt = Math.max(this.settledAt, at)
    if (head.largeFile > 0 && this.liveLargeFiles.delete(head.largeFile)) this.settledLargeFiles.add(head.largeFile)
  }
}

function weigh(head: Weight): number {
  return headBytes + head.metaBytes + head.contentBytes
}
