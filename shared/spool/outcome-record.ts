import { crc32 } from 'node:zlib'

import type { MessageId } from '../mail/message-id.ts'
import type { AppendableRecord } from './append-log.ts'
import type { FrameHead } from './frame.ts'
import type { OutcomeRecord } from './spool.ts'

/** What an index needs of an outcome: kept in binary beside the JSON, so that logs are followed without parsing it. */
export interface OutcomeKey {
  readonly id: MessageId
  readonly recipient: number
  readonly kind: OutcomeRecord['kind']
  readonly at: number
}

/** In the order of their codes on disk; only ever appended to. */
export const outcomeKinds: readonly OutcomeRecord['kind'][] = [
  'delivered',
  'relayed',
  'failed',
  'discarded',
  'removed',
  'held',
  'released',
  'rerouted',
  'readdressed',
]

const keyBytes = 32
const idBytes = 18

export function encodeOutcomes(outcomes: readonly OutcomeRecord[]): AppendableRecord {
  const meta = Buffer.from(JSON.stringify(outcomes))
  const keys = encodeKeys(outcomes)
  const at = outcomes.reduce((latest, outcome) => Math.max(latest, outcome.at), 0)
  const head: Omit<FrameHead, 'startsGroup'> = {
    kind: 'outcomes',
    wrap: undefined,
    metaBytes: meta.length,
    contentBytes: keys.length,
    headerBytes: 0,
    metaCrc: crc32(meta),
    headerCrc: 0,
    bodyCrc: crc32(keys),
    count: outcomes.length,
    largeFile: 0,
    at,
    sizeBytes: keys.length,
    id: '',
  }
  return { head, meta, content: [keys] }
}

export function* decodeKeys(content: Buffer): Generator<OutcomeKey> {
  for (let offset = 0; offset + keyBytes <= content.length; offset += keyBytes) {
    const kind = outcomeKinds[(content[offset + 30] ?? 0) - 1]
    if (kind === undefined) continue
    yield {
      id: content.toString('latin1', offset, offset + idBytes) as MessageId,
      recipient: content.readUInt32LE(offset + idBytes),
      kind,
      at: content.readDoubleLE(offset + 22),
    }
  }
}

/** Reads the metadata of an outcomes record whose checksum was right: this process's schema, so trusted as typed. */
export function decodeOutcomes(meta: Buffer): readonly OutcomeRecord[] {
  return JSON.parse(meta.toString()) as readonly OutcomeRecord[]
}

function encodeKeys(outcomes: readonly OutcomeRecord[]): Buffer {
  const keys = Buffer.alloc(outcomes.length * keyBytes)
  for (const [index, { id, recipient, kind, at }] of outcomes.entries()) {
    const offset = index * keyBytes
    keys.write(id, offset, idBytes, 'latin1')
    keys.writeUInt32LE(recipient, offset + idBytes)
    keys.writeDoubleLE(at, offset + 22)
    keys[offset + 30] = outcomeKinds.indexOf(kind) + 1
  }
  return keys
}
