import { stat } from 'node:fs/promises'
import { join } from 'node:path'

import { acceptedAtOf } from '../mail/message-id.ts'
import type { MessageId } from '../mail/message-id.ts'
import { withFile } from './file-io.ts'
import { LiveIndex } from './live-index.ts'
import type { LiveIndexOptions } from './live-index.ts'
import { locatorOf } from './message-table.ts'
import { RecordReader } from './record-reader.ts'
import { scanSegment } from './scan.ts'
import type { ScannedFrame } from './scan.ts'
import { listSpool, segmentsOf } from './spool-files.ts'
import type { LiveMessage, Locator, SpooledMessage } from './spool.ts'

/** All messages that are not settled, in the order they were accepted. Reads the logs, writes nothing. */
export async function listMessages(path: string, options: LiveIndexOptions = {}): Promise<readonly LiveMessage[]> {
  const index = await LiveIndex.open(path, options)
  const messages = [...index.entries()]
  await index.close()
  return messages.sort((one, other) => one.receivedAt - other.receivedAt || (one.id < other.id ? -1 : 1))
}

/** Finds a record by its id, settled or not, as long as it is on disk. @throws SpoolReadError when it is damaged. */
export async function findMessage(path: string, id: MessageId): Promise<SpooledMessage | undefined> {
  const locator = await locate(path, id)
  // Keeps no file open between reads, so that there is nothing to close.
  return locator === undefined ? undefined : new RecordReader(path, 0).read(locator)
}

async function locate(path: string, id: MessageId): Promise<Locator | undefined> {
  for await (const { file, segment, offset } of messageFiles(path)) {
    if (!(await mayHold(join(path, file), id))) continue
    let found: Locator | undefined
    await withFile(join(path, file), async (fd) => {
      const visit = (frame: ScannedFrame): void => {
        if (frame.head.id === id) found ??= locatorOf(segment, offset ?? frame.offset, frame.head)
      }
      await scanSegment({ fd, segment, from: 0, visit, onDamage: () => undefined })
    })
    if (found !== undefined) return found
  }
  return undefined
}

/** A file that was written last before the id was made does not hold it. */
async function mayHold(path: string, id: MessageId): Promise<boolean> {
  const stats = await stat(path).catch(() => undefined)
  return stats !== undefined && stats.mtimeMs + clockSkewMs >= acceptedAtOf(id)
}

interface MessageFile {
  readonly file: string
  readonly segment: string
  /** Where the record was before it was moved; absent for a segment. */
  readonly offset?: number
}

async function* messageFiles(path: string): AsyncGenerator<MessageFile> {
  const { writers, relocated } = await listSpool(path)
  for (const segment of segmentsOf(writers, 'msg')) yield { file: segment.path, segment: segment.path }
  for (const { path: file, origin } of relocated) {
    if (origin.kind === 'record') yield { file, segment: origin.segment, offset: origin.offset }
  }
}

const clockSkewMs = 600_000
