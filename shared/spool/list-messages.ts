import { acceptedAtOf } from '../mail/message-id.ts'
import type { MessageId } from '../mail/message-id.ts'
import { volumeAt } from './folder-volume.ts'
import type { SpoolPlace } from './folder-volume.ts'
import type { Keyring } from './keyring.ts'
import { LiveIndex } from './live-index.ts'
import type { LiveIndexOptions } from './live-index.ts'
import { locatorOf } from './message-table.ts'
import { scanSegment } from './scan.ts'
import type { ScannedFrame } from './scan.ts'
import { segmentsOf } from './spool-files.ts'
import type { LiveMessage, Locator, SpooledMessage } from './spool.ts'
import type { SpoolVolume } from './volume.ts'

/** All messages that are not settled, in the order they were accepted. Reads the logs, writes nothing. */
export async function listMessages(place: SpoolPlace, options: LiveIndexOptions = {}): Promise<readonly LiveMessage[]> {
  const index = await LiveIndex.open(place, options)
  const messages = [...index.entries()]
  await index.close()
  return messages.sort((one, other) => one.receivedAt - other.receivedAt || (one.id < other.id ? -1 : 1))
}

/**
 * Finds a record by its id, settled or not, as long as it is on disk.
 * @throws SpoolReadError when it is damaged; SpoolKeyError when its key is not known
 */
export async function findMessage(
  place: SpoolPlace,
  id: MessageId,
  keyring?: Keyring,
): Promise<SpooledMessage | undefined> {
  const volume = volumeAt(place)
  const locator = await locate(volume, id)
  // Keeps no file open between reads, so that there is nothing to close.
  const reader = volume.reader({ openFiles: 0, ...(keyring !== undefined && { keyring }) })
  return locator === undefined ? undefined : reader.read(locator)
}

async function locate(volume: SpoolVolume, id: MessageId): Promise<Locator | undefined> {
  for (const { file, segment, offset } of await likelyFiles(volume, id)) {
    let found: Locator | undefined
    await volume.withFile(file, async (fd) => {
      const visit = (frame: ScannedFrame): void => {
        if (frame.head.id === id) found ??= locatorOf(segment, offset ?? frame.offset, frame.head)
      }
      await scanSegment({ fd, segment, from: 0, visit, onDamage: () => undefined })
    })
    if (found !== undefined) return found
  }
  return undefined
}

interface MessageFile {
  readonly file: string
  readonly segment: string
  /** Where the record was before it was moved; absent for a segment. */
  readonly offset?: number
}

/**
 * The files that may hold the message, the likeliest first: the first one that was written after the id was made. One that
 * was written last before that does not hold it.
 */
async function likelyFiles(volume: SpoolVolume, id: MessageId): Promise<readonly MessageFile[]> {
  const madeAt = acceptedAtOf(id)
  const dated = await Promise.all(
    (await messageFiles(volume)).map(async (one) => {
      const stats = await volume.stat(one.file).catch(() => undefined)
      return { ...one, writtenAt: stats?.mtimeMs ?? Number.NEGATIVE_INFINITY }
    }),
  )
  const possible = dated.filter(({ writtenAt }) => writtenAt + clockSkewMs >= madeAt)
  const rank = (writtenAt: number): number => (writtenAt >= madeAt ? writtenAt : Number.MAX_SAFE_INTEGER - writtenAt)
  return possible.sort((one, other) => rank(one.writtenAt) - rank(other.writtenAt))
}

async function messageFiles(volume: SpoolVolume): Promise<readonly MessageFile[]> {
  const { writers, relocated } = await volume.list()
  const files: MessageFile[] = []
  for (const segment of segmentsOf(writers, 'msg')) files.push({ file: segment.path, segment: segment.path })
  for (const { path: file, origin } of relocated) {
    if (origin.kind === 'record') files.push({ file, segment: origin.segment, offset: origin.offset })
  }
  return files
}

const clockSkewMs = 600_000
