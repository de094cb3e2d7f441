import type { ReversePath } from '../mail/address.ts'
import type { Envelope } from '../mail/envelope.ts'
import type { HeaderEdit } from '../mail/header-edit.ts'
import type { IncomingContent, Locator } from '../spool/spool.ts'

/** The way into the queues. */
export interface Pipeline {
  /** Content on its way in; goes to `accept` or `abort`. */
  receive(): IncomingContent
  /**
   * Takes responsibility for a message: resolves when record and content are on disk (S3), then a 250 may be sent. The jobs are
   * added in the background; when Redis is away they are added when it is back.
   * @throws SpoolFullError answer 452
   */
  accept(envelope: Envelope, content: IncomingContent, edits: readonly HeaderEdit[]): Promise<Locator>
  /** The same for a message made here (DSN, test message). */
  submit(envelope: Envelope, content: Buffer, edits?: readonly HeaderEdit[]): Promise<Locator>
  /** Messages on disk whose jobs wait for Redis. */
  readonly waiting: number
  close(): Promise<void>
}

/** Sender of the messages Sluice makes itself. */
export const nullReversePath: ReversePath = null
