import type { MessageId } from '../mail/message-id.ts'
import type { JournalPiece } from './journal-tail.ts'
import type { CopyRow, MessageDraft, MessageRow } from './message-draft.ts'
import type { Dialect, Rows } from './sql.ts'

/** A database with the store, for questions: SQLite beside the journal, or PostgreSQL for several hosts. */
export interface ReadableStore {
  readonly dialect: Dialect
  /** Runs the questions against one state of the database. */
  atOneMoment<T>(ask: (rows: Rows) => Promise<T>): Promise<T>
  /** Those of the messages that are known. */
  kinds(ids: readonly MessageId[]): Promise<ReadonlyMap<MessageId, KnownMessage>>
  /** What it has of the story of a message, and how far it knows the journal of this host. */
  story(id: MessageId): Promise<StoredStory>
  /** How far each file of this host's journal was read, by name. */
  positions(): Promise<ReadonlyMap<string, number>>
  close(): Promise<void>
}

export interface KnownMessage {
  readonly key: number
  readonly kind: number
}

export interface StoredStory {
  /** Lines of the journals, in no order. */
  readonly lines: readonly string[]
  readonly positions: ReadonlyMap<string, number>
}

/** The same for the one who writes it. Its methods do not run at the same time. */
export interface WritableStore extends ReadableStore {
  /** Other hosts write it, too, and it keeps the lines of stories by itself: they do not go with files of the journal. */
  readonly isShared: boolean
  /**
   * Takes over pieces of the journal in one transaction: what `work` saves and how far the journal was read are there together, or
   * not at all. Other writers wait. After it failed, `positions` says what is known: perhaps these pieces, too.
   */
  write(pieces: readonly JournalPiece[], work: (batch: Batch) => Promise<void>): Promise<void>
  /** Repairs what made `write` fail, where that can be done; false: the error stands. */
  mend(error: Error): Promise<boolean>
  keepFact(name: string, value: number): Promise<void>
  /** Deletes up to `most` messages before that number, oldest first, with all that is known of them, if they are settled; their count. */
  dropSettled(before: number, most: number): Promise<number>
  /** Octets that hold something, on the disk of the journal. */
  usedBytes(): Promise<number>
  /** Messages before that time, epoch ms, must go, so that a shared store has no more octets; absent: it has not. */
  tooOld(mostBytes: number): Promise<number | undefined>
  /** Gives back some of the place that became free. */
  shrink(): Promise<void>
  /** These files of this host's journal are gone for good. */
  forgetFiles(names: readonly string[]): Promise<void>
}

/** One transaction of the writer. */
export interface Batch {
  /** Those of the messages that are known. */
  read(ids: readonly MessageId[]): Promise<ReadonlyMap<MessageId, StoredMessage>>
  /** Those of the numbers that messages have. */
  taken(keys: readonly number[]): Promise<ReadonlySet<number>>
  save(messages: readonly SavedMessage[]): Promise<void>
}

export interface StoredMessage {
  readonly key: number
  readonly message: MessageRow
  readonly copies: Map<number, CopyRow>
}

export interface SavedMessage {
  readonly id: MessageId
  readonly key: number
  readonly draft: MessageDraft
  /** Lines that are told of it. */
  readonly lines: readonly ToldLine[]
}

/** A line of the journal, at an octet of a file. */
export interface ToldLine {
  readonly file: string
  readonly offset: number
  readonly text: string
}
