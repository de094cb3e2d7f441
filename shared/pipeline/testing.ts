import { Readable } from 'node:stream'

import type { Envelope } from '../mail/envelope.ts'
import type { HeaderEdit } from '../mail/header-edit.ts'
import type { StageMessage } from './stage.ts'

/** Octets of the header section, its empty line included; all of a message that has no body. */
export function headerLength(content: Buffer): number {
  const end = content.indexOf('\r\n\r\n')
  return end < 0 ? content.length : end + 4
}

/** A message in memory as it reaches a stage at its first attempt, for all its recipients. */
export function stageMessage(content: Buffer, envelope: Envelope, edits: readonly HeaderEdit[] = []): StageMessage {
  const headerBytes = headerLength(content)
  const sizeBytes = content.length
  return {
    envelope,
    pending: envelope.recipients.map((_, index) => index),
    edits,
    sizeBytes,
    attempts: 0,
    stored: {
      envelope,
      edits: [],
      revision: 'test',
      locator: { segment: '', offset: 0, recordBytes: sizeBytes, sizeBytes, headerBytes },
      header: async () => content.subarray(0, headerBytes),
      content: async () => content,
      stream: (start = 0) => Readable.from([content.subarray(start)]),
    },
  }
}
