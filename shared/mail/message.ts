import type { Envelope } from './envelope.ts'
import type { HeaderEdit } from './header-edit.ts'

/** A message as a stage sees it; its content lies in the spool. */
export interface Message {
  readonly envelope: Envelope
  /** Indexes into `envelope.recipients`: those this job is about. */
  readonly pending: readonly number[]
  readonly edits: readonly HeaderEdit[]
  /** Octets of the stored content, without edits. */
  readonly sizeBytes: number
}
