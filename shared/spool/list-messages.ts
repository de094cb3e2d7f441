import { join } from 'node:path'

import type { MessageId } from '../mail/message-id.ts'
import { closeFile, openFile } from './file-io.ts'
import { hasCode } from './free-space.ts'
import { LiveIndex } from './live-index.ts'
import type { LiveIndexOptions } from './live-index.ts'
import { locatorOf } from './message-table.ts'
import { RecordReader } from './record-reader.ts'
import { scanSegment } from './scan.ts'
import type { ScannedFrame } from './scan.ts'
import { relocatedFolder, segmentPath } from './segment-name.ts'
import { listSpool } from './spool-files.ts'
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
    let found: Locator | undefined
    await scanFile(join(path, file), segment, (frame) => {
      if (frame.head.id === id) found ??= locatorOf(segment, offset ?? frame.offset, frame.head)
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

async function* messageFiles(path: string): AsyncGenerator<MessageFile> {
  const { writers, relocated } = await listSpool(path)
  for (const { files } of writers) {
    for (const { writer, sequence, extension } of files) {
      const segment = segmentPath(writer, sequence, extension)
      if (extension === 'msg') yield { file: segment, segment }
    }
  }
  for (const { file, origin } of relocated) {
    if (origin.kind !== 'record') continue
    yield { file: `${relocatedFolder}/${file}`, segment: origin.segment, offset: origin.offset }
  }
}

async function scanFile(path: string, segment: string, visit: (frame: ScannedFrame) => void): Promise<void> {
  const fd = await openFile(path, 'r').catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  })
  if (fd === undefined) return
  try {
    await scanSegment({ fd, segment, from: 0, visit, onDamage: () => undefined })
  } finally {
    await closeFile(fd)
  }
}
