import { isExternal } from '../config/external-table.ts'
import type { Condition, Table } from '../config/model.ts'
import { sameAddress, withoutBrackets } from '../config/network.ts'
import { domainOf, type Mailbox } from '../mail/address.ts'
import type { RoutingContext, Transaction } from './transaction.ts'

type Compared = Extract<Condition, { readonly regex: boolean }>

/**
 * True when the condition holds for this recipient (SMTPD_CONF section 5).
 * @throws TableError when a table cannot be read: never taken for a "no"
 */
export function holds(condition: Condition, context: RoutingContext, recipient: Mailbox): boolean {
  switch (condition.kind) {
    case 'from-any':
      return !condition.not
    case 'from-local':
      return (isLocalPeer(context) || standsForThisHost(condition, context)) !== condition.not
    case 'from-socket':
      return (context.transaction.peer === 'local') !== condition.not
    case 'for-any':
      return (domainOf(recipient) !== '') !== condition.not
    case 'for-local':
      return isLocalDomain(domainOf(recipient), context) !== condition.not
    case 'tls':
      return context.transaction.tls !== condition.not
    case 'from-rdns':
      return rdnsHolds(condition, context)
    case 'from-src':
    case 'for-domain':
    case 'tag':
    case 'helo':
    case 'auth':
    case 'mail-from':
    case 'rcpt-to':
      return compare(condition, context, recipient) !== condition.not
  }
}

/** `localhost`, the name of this server, or one of its addresses as text. */
export function isLocalDomain(domain: string, context: Omit<RoutingContext, 'transaction'>): boolean {
  if (domain === 'localhost' || domain === context.configuration.hostname.toLowerCase()) return true
  return isLocalAddress(withoutBrackets(domain), context.localAddresses)
}

/** In words, for `explain`. */
export function describeCondition(condition: Condition): string {
  const not = condition.not ? '!' : ''
  const kind = condition.kind.replace(/^(from|for)-/, '$1 ')
  if (!('regex' in condition)) return `${not}${kind}`
  const regex = condition.regex ? ' regex' : ''
  return `${not}${kind}${regex}${condition.table === undefined ? '' : ` ${describeTable(condition.table)}`}`
}

function describeTable(table: Table): string {
  if (table.source.kind !== 'inline' || !table.name.startsWith('<inline')) return `<${table.name}>`
  const list = table.source.list ?? [...(table.source.map?.keys() ?? [])]
  const shown = list.slice(0, 5).map((entry) => `"${entry}"`)
  return list.length === 1 ? (shown[0] ?? '') : `{ ${shown.join(', ')}${list.length > shown.length ? ', ...' : ''} }`
}

/** Made here, handed back by a queue, or from an address of this host. */
export function isLocalPeer({ transaction, localAddresses }: Omit<RoutingContext, 'tables'>): boolean {
  const { peer } = transaction
  return peer === 'local' || peer.thisHost === true || isLocalAddress(peer.address, localAddresses)
}

/** Old grammar: whoever is authenticated, for conditions on where mail comes from. */
function standsForThisHost(condition: Condition, { transaction }: RoutingContext): boolean {
  return condition.authenticatedIsLocal === true && isAuthenticated(transaction)
}

function isLocalAddress(address: string, localAddresses: ReadonlySet<string>): boolean {
  if (localAddresses.has(address)) return true
  if (!address.includes(':')) return false
  return [...localAddresses].some((one) => one.includes(':') && sameAddress(one, address))
}

/** Without a name of the client a rule that compares it never holds, not even negated. */
function rdnsHolds(condition: Compared, { transaction, tables }: RoutingContext): boolean {
  const name = transaction.peer === 'local' ? undefined : transaction.peer.rdns
  const { table } = condition
  if (table === undefined) return (name !== undefined) !== condition.not
  if (name === undefined) return false
  const matches = condition.regex ? tables.matchesExpression(table, name) : tables.matchesDomain(table, name)
  return matches !== condition.not
}

function compare(condition: Compared, context: RoutingContext, recipient: Mailbox): boolean {
  const { transaction, tables } = context
  const { table, regex } = condition
  if (table === undefined) return isAuthenticated(transaction)
  const subjects = standsForThisHost(condition, context)
    ? ['local']
    : subjectsOf(condition.kind, transaction, recipient)
  if (condition.caseSensitive === true && !isExternal(table))
    return subjects.some((subject) => tables.entries(table).includes(subject))
  if (regex) return subjects.some((subject) => tables.matchesExpression(table, subject))
  switch (condition.kind) {
    case 'from-src':
      return subjects.some((subject) => tables.matchesAddress(table, subject))
    case 'for-domain':
    case 'helo':
    case 'from-rdns':
      return subjects.some((subject) => tables.matchesDomain(table, subject))
    case 'tag':
      return subjects.some((subject) => tables.contains(table, subject))
    case 'auth':
      return subjects.some(
        (user) => tables.contains(table, user) || (user.includes('@') && tables.matchesMailbox(table, user)),
      )
    case 'mail-from':
    case 'rcpt-to':
      return subjects.some((subject) => tables.matchesMailbox(table, subject))
  }
}

function subjectsOf(kind: Compared['kind'], transaction: Transaction, recipient: Mailbox): readonly string[] {
  switch (kind) {
    case 'from-src':
      return [transaction.peer === 'local' ? 'local' : transaction.peer.address]
    case 'from-rdns':
      return []
    case 'for-domain':
      return [domainOf(recipient)]
    case 'tag':
      return transaction.tags
    case 'helo':
      return transaction.helo === undefined ? [] : [transaction.helo]
    case 'auth':
      return transaction.user === undefined ? [] : [transaction.user]
    case 'mail-from':
      return [transaction.reversePath ?? '@']
    case 'rcpt-to':
      return [recipient]
  }
}

function isAuthenticated(transaction: Transaction): boolean {
  return transaction.user !== undefined || transaction.trusted === true
}
