import type { Table } from './model.ts'

/** What a table is asked for, in OpenSMTPD's words (smtpd-tables(7)). */
export const tableServices = [
  'addrname',
  'alias',
  'credentials',
  'domain',
  'mailaddr',
  'mailaddrmap',
  'netaddr',
  'regex',
  'relayhost',
  'source',
  'string',
  'userinfo',
] as const

export type TableService = (typeof tableServices)[number]

export interface TableAnswer {
  /** Absent: not found. For `check` the text says nothing. */
  readonly value: string | undefined
  /** How long it may be believed; absent: as long as answers are kept by default. */
  readonly keepMs?: number
}

/**
 * A table whose answers are not at hand: a program, a database, a server. Each method rejects when it cannot tell, and within a
 * time-out of its own: that is a temporary failure of whoever asked, never "not found". Many questions may be open at a time.
 */
export interface ExternalTable {
  /** The value of a key, as it stands. */
  lookup(service: TableService, key: string): Promise<TableAnswer>
  /** Whether it has the key, compared in its own way. */
  check(service: TableService, key: string): Promise<TableAnswer>
  /** One of its entries, each time the next. */
  fetch(service: TableService): Promise<TableAnswer>
  /** Reads again what it was made of. */
  update(): Promise<void>
  close(): Promise<void>
}

/** Keys are in lower case. */
export type Question =
  | { readonly ask: 'lookup' | 'check'; readonly service: TableService; readonly key: string }
  | { readonly ask: 'fetch'; readonly service: TableService }

/** Opens what a table names; a table is opened at its first question. */
export type OpenExternal = (table: Table) => ExternalTable

/** Answers that are fixed for one evaluation, by `PendingLookup.id`. */
export type KnownAnswers = ReadonlyMap<string, TableAnswer>

export const noAnswers: KnownAnswers = new Map()

/** A table cannot be read or asked: answer 451. */
export class TableError extends Error {
  override readonly name = 'TableError'
}

/** Thrown where an evaluation needs an answer that is still on its way: `settle` waits for it and evaluates again. */
export class PendingLookup extends Error {
  override readonly name = 'PendingLookup'
  readonly id: string
  /** Rejects with TableError. */
  readonly answer: Promise<TableAnswer>

  constructor(id: string, answer: Promise<TableAnswer>) {
    super('a look-up is not finished: it needs settle()')
    this.id = id
    this.answer = answer
  }
}

/** Whether a table compares by itself, and has no list of its entries: patterns are like that, too. */
export function isExternal({ source }: Table): boolean {
  return source.kind !== 'inline' && source.kind !== 'file' && source.kind !== 'environment'
}
