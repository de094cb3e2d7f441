import type { FilterCondition } from '../../shared/config/model.ts'
import type { TableSet } from '../../shared/config/tables.ts'
import type { ClientName } from '../../shared/client-name.ts'

/** What a filter can know of a session at one of its phases. */
export interface FilterSubject {
  readonly address: string
  /** As said, also while it is still being looked at. */
  readonly helo?: string
  /** Authenticated, or at the phase `auth` the one who asks to be. */
  readonly user?: string
  /** Empty for the null reverse-path. */
  readonly mailFrom?: string
  readonly rcptTo?: string
}

export type FilterTables = Pick<
  TableSet,
  'matchesDomain' | 'matchesAddress' | 'matchesMailbox' | 'matchesExpression' | 'contains' | 'answering'
>

/**
 * True when the condition of a built-in filter holds (SMTPD_CONF 9.1). What is not known matches nothing, so that its
 * negation holds.
 * @throws TableError when a table cannot be read
 */
export function filterHolds(
  condition: FilterCondition,
  subject: FilterSubject,
  client: ClientName,
  tables: FilterTables,
): boolean {
  return matches(condition, subject, client, tables) !== condition.not
}

/** The condition asks for the client's name in DNS. */
export function needsClientName({ kind }: FilterCondition): boolean {
  return kind === 'fcrdns' || kind === 'rdns'
}

function matches(
  { kind, table, regex }: FilterCondition,
  subject: FilterSubject,
  client: ClientName,
  tables: FilterTables,
): boolean {
  if (kind === 'fcrdns') return client.forward === 'pass'
  const value = valueOf(kind, subject, client)
  if (value === undefined || table === undefined) return value !== undefined
  if (regex) return tables.matchesExpression(table, value)
  switch (kind) {
    case 'src':
      return tables.matchesAddress(table, value)
    case 'rdns':
    case 'helo':
      return tables.matchesDomain(table, value)
    case 'auth':
      return tables.contains(table, value) || (value.includes('@') && tables.matchesMailbox(table, value))
    case 'mail-from':
    case 'rcpt-to':
      return tables.matchesMailbox(table, value)
  }
}

function valueOf(
  kind: Exclude<FilterCondition['kind'], 'fcrdns'>,
  subject: FilterSubject,
  client: ClientName,
): string | undefined {
  switch (kind) {
    case 'rdns':
      return client.name
    case 'src':
      return subject.address
    case 'helo':
      return subject.helo
    case 'auth':
      return subject.user
    case 'mail-from':
      return subject.mailFrom === '' ? '@' : subject.mailFrom
    case 'rcpt-to':
      return subject.rcptTo
  }
}
