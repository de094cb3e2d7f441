import type { Readable } from 'node:stream'

import type { Envelope, Recipient, RelayOrder } from '../mail/envelope.ts'
import type { Quarantine } from '../mail/disposition.ts'
import type { HeaderEdit } from '../mail/header-edit.ts'
import type { MessageId } from '../mail/message-id.ts'
import type { Reply } from '../mail/reply.ts'

/**
 * Where a message record lies. Everything a reader needs, so that a small message is read with one pread and no index.
 * Jobs carry it; it is plain JSON.
 */
export interface Locator {
  /** Path of the segment below the spool folder, `<writer>/<sequence>.msg`. */
  readonly segment: string
  /** Octet offset of the record in the segment. */
  readonly offset: number
  /** Octets of the record in the segment, frame and metadata included. */
  readonly recordBytes: number
  /** Octets of the content. */
  readonly sizeBytes: number
  /** Octets of the header section with its closing empty line. */
  readonly headerBytes: number
}

/** What a message record holds beside the content. Never changes. */
export interface StoredMessage {
  readonly envelope: Envelope
  /** Edits made on acceptance: our Received field. */
  readonly edits: readonly HeaderEdit[]
  /** Revision of the configuration that accepted it. */
  readonly revision: string
}

/** A message record that was read, and its content on demand. */
export interface SpooledMessage extends StoredMessage {
  readonly locator: Locator
  /** The header section as received, closing empty line included. */
  header(): Promise<Buffer>
  /** The content as received; for messages below the stream threshold it is in memory already. */
  content(): Promise<Buffer>
  /** The content from octet `start` on, as a stream (large) or as one chunk. */
  stream(start?: number): Readable
}

export type FinalKind = 'delivered' | 'relayed' | 'failed' | 'discarded' | 'removed'
export type DecisionKind = 'rerouted' | 'readdressed'

/**
 * What became of one recipient. `delivered`, `relayed`, `failed`, `discarded` and `removed` are final: exactly one of them
 * stands for each recipient in the end. `held` and `released` are states an operator changes; `rerouted` and `readdressed` are his
 * decisions about where the copy goes from then on (`withDecisions`).
 */
export interface OutcomeRecord {
  readonly id: MessageId
  /** Index into the envelope's recipients. */
  readonly recipient: number
  readonly kind: FinalKind | 'held' | 'released' | DecisionKind
  /** Queue in whose job it happened. */
  readonly stage: string
  readonly at: number
  readonly reply?: Reply
  readonly remoteMta?: string
  readonly reason?: string
  /** `held`: by a filter; `released`: from there, never to be filtered again. */
  readonly quarantine?: Quarantine
  /** `rerouted`: where to; absent: where the rules say, as before. */
  readonly order?: RelayOrder
  /** `readdressed`: whom the copy is for from now on. */
  readonly copy?: Pick<Recipient, 'mailbox' | 'target'>
}

const finalKinds: ReadonlySet<string> = new Set([
  'delivered',
  'relayed',
  'failed',
  'discarded',
  'removed',
] satisfies FinalKind[])

export function isFinal(outcome: OutcomeRecord): boolean {
  return finalKinds.has(outcome.kind)
}

/** Content on its way in (state S2). Nothing of it is visible to anybody before `commit` resolved, but by the locator of its draft. */
export interface IncomingContent {
  readonly sizeBytes: number
  /**
   * Takes the next octets (CRLF line ends, dot-unstuffed). Keeps the buffer: the caller must not change it.
   * A promise is returned when the caller should wait for the disk.
   * @throws SpoolFullError
   */
  write(chunk: Buffer): void | Promise<void>
  /**
   * Ends the content and lets other processes read it before it is accepted. In no index, never queued again, and gone with `commit`,
   * `abort` or this process: its locator is of use while somebody waits. @throws SpoolFullError; it can be committed all the same
   */
  draft(message: StoredMessage): Promise<Locator>
  /** Resolves when record and content are on disk (S3): only then a 250 may be sent. @throws SpoolFullError */
  commit(message: StoredMessage): Promise<Locator>
  /** Forgets what came so far; safe to call at any time, also after `commit` failed. */
  abort(): Promise<void>
}

/** A message with recipients that have no final outcome yet. */
export interface LiveMessage {
  readonly id: MessageId
  readonly locator: Locator
  readonly receivedAt: number
  /** Recipients without a final outcome. */
  readonly pending: readonly number[]
  /** Those of `pending` that are held. */
  readonly held: readonly number[]
  /** Epoch ms of an operator's last decision about where its copies go. */
  readonly decidedAt?: number
}

/** The store of accepted messages: append-only, one writer per process and segment, safe for readers in other processes. */
export interface Spool {
  receive(): IncomingContent
  /** Stores a complete message, e.g. a DSN: `receive`, `write`, `commit` in one. */
  store(message: StoredMessage, content: Buffer): Promise<Locator>
  /** @throws SpoolReadError when the record is gone or damaged. */
  read(locator: Locator): Promise<SpooledMessage>
  /** Logs outcomes; resolves when they are on disk. All that wait at one moment share one fdatasync. */
  settle(outcomes: readonly OutcomeRecord[]): Promise<void>
  /** Everything logged so far about these messages by any process, freshest state: read before an attempt is repeated. */
  outcomesOf(ids: readonly MessageId[]): Promise<ReadonlyMap<MessageId, readonly OutcomeRecord[]>>
  /** Free octets that may still be used before new mail is refused with 452. */
  freeBytes(): Promise<number>
  close(): Promise<void>
}

/** A complete message: written and committed. */
export async function storeIn(incoming: IncomingContent, message: StoredMessage, content: Buffer): Promise<Locator> {
  try {
    await incoming.write(content)
  } catch (error) {
    await incoming.abort()
    throw error
  }
  return incoming.commit(message)
}

/** Less than the reserve would remain, or the disk said ENOSPC/EDQUOT: answer 452 4.3.1. */
export class SpoolFullError extends Error {
  override readonly name = 'SpoolFullError'
}

/** The record is missing or fails its checksum. */
export class SpoolReadError extends Error {
  override readonly name = 'SpoolReadError'
}
