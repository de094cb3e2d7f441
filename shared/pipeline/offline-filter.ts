import type { Configuration } from '../config/model.ts'
import type { TableSet } from '../config/tables.ts'
import type { Mailbox } from '../mail/address.ts'
import type { Tag } from '../mail/tag.ts'

/** The filter without a queue: what it would say of mail that comes from a file. Asks nothing of a network. */
export interface OfflineFilter {
  /** Engines of the configuration that are not asked, because they are somewhere else: `clamd`, `rspamd`. */
  readonly notAsked: readonly string[]
  /** @throws TableError */
  judge(content: Buffer, envelope: OfflineEnvelope): Promise<OfflineVerdict>
  close(): Promise<void>
}

/** What the policies of `spam for` look at. */
export interface OfflineEnvelope {
  readonly recipients: readonly Mailbox[]
  readonly tags: readonly Tag[]
}

export interface OfflineVerdict {
  readonly action: 'clean' | 'junk' | 'quarantine' | 'reject' | 'discard'
  readonly score: number
  /** Empty for what is clean. */
  readonly reason: string
  readonly symbols: readonly { readonly name: string; readonly score: number; readonly text: string }[]
}

export type OpenOfflineFilter = (parts: {
  readonly configuration: Configuration
  readonly dataFolder: string
  readonly tables: TableSet
}) => OfflineFilter
