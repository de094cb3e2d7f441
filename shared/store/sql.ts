export type SqlValue = string | number | Uint8Array | null

/** A piece of SQL and what it is given, by `?` in their order; nothing that was typed stands in the text. */
export interface Sql {
  readonly text: string
  readonly values: readonly SqlValue[]
}

/** The rows of a question, each as its columns. */
export type Rows = (text: string, ...values: readonly SqlValue[]) => Promise<readonly unknown[]>

/** Rows `k` of one index. */
export interface Way {
  readonly from: string
  /** The column with the message's number. */
  readonly key: string
  readonly where: Sql
  /** The index gives them by their numbers. */
  readonly isSorted: boolean
}

/** What the databases say differently; all else is one text for each. */
export interface Dialect {
  /** Joins in the order in which it is written, where the database must be told. */
  readonly join: string
  /** Ends a subquery that is to be answered by itself first: it gives few rows, which the planner may not know. */
  readonly fence: string
  /** Whether there is such a copy `c` of the message `m`: asked message by message, and not of all copies beforehand. */
  hasCopy(where: string): string
  /** `messages k`, by that index where the database must be told. */
  by(table: string, index: string): string
  /** An address as the indexes have it, `example.org@jane`: one index finds both an address and all of a domain. */
  byDomain(column: string): string
  /** What stands before the `@`, in small letters. */
  localOf(column: string): string
  /** What stands behind the `@`, in small letters. */
  domainOf(column: string): string
  /** Where a text begins in a column, from 1 on; 0: nowhere. */
  positionOf(column: string, text: string): string
  /** A pattern for one `?`; capital and small letters (of ASCII) are the same, `\` takes the meaning of `%` and `_`. */
  like(column: string): string
  /** Any of the texts, capital or small. */
  sameText(column: string, texts: readonly string[]): Sql
  /** Copies whose remote text has these words, the last of them perhaps not whole. */
  words(text: string): Way
  /** The same of the subject. */
  subjectWords(text: string): Way
  /** Name of the host that has the message `m`; NULL: there is one only. */
  readonly hostName: string
  /** Messages `m` that this host accepted. */
  readonly isOwn: Sql
  /** Under which name this host keeps a fact that is its own. */
  ownFact(name: string): string
}
