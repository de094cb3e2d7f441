import type { CanonicalRule, MasqueradeSettings, RewrittenClients, Table } from '../config/model.ts'
import { TableError } from '../config/tables.ts'
import { domainOf, localPart, parseMailbox, type Mailbox } from '../mail/address.ts'
import { isLocalDomain, isLocalPeer } from './condition.ts'
import { journeyOf } from './journey.ts'
import type { RoutingContext } from './transaction.ts'

/** Where an address stands and what for. */
export interface AddressRole {
  readonly of: 'sender' | 'recipient'
  readonly in: 'envelope' | 'headers'
}

/**
 * The address that takes the place of one in mail that comes in: by `canonical`, then, but for recipients of the envelope, by
 * `masquerade`. What the envelope says is rewritten whoever sends it, header fields as the statements say.
 * @throws TableError a table cannot be read, or leads nowhere
 */
export function rewrittenAddress(context: RoutingContext, mailbox: Mailbox, role: AddressRole): Mailbox {
  const { canonical, masquerade } = context.configuration.pipeline.rewriting
  let address = mailbox
  for (const rule of canonical)
    if (isFor(rule, role) && concerns(context, rule.clients, role)) address = canonicalAddress(context, rule, address)
  const hides = masquerade !== undefined && !(role.of === 'recipient' && role.in === 'envelope')
  return hides && concerns(context, masquerade.clients, role) ? masqueraded(context, masquerade, address) : address
}

/** Header fields of the message may hold addresses to rewrite or to complete. */
export function rewritesHeaders(context: Omit<RoutingContext, 'tables'>): boolean {
  const { canonical, masquerade, appendDomain } = context.configuration.pipeline.rewriting
  const clients = [
    ...canonical.filter((rule) => rule.in !== 'envelope'),
    ...(masquerade === undefined ? [] : [masquerade]),
  ]
  if (clients.some((one) => one.clients === 'any')) return true
  return (clients.length > 0 || appendDomain !== undefined) && isOwn(context)
}

/** Addresses without a domain get one in header fields too. */
export function completesHeaders(context: Omit<RoutingContext, 'tables'>): boolean {
  const { appendDomain, completeAddresses } = context.configuration.pipeline.rewriting
  return appendDomain !== undefined && completeAddresses && isOwn(context)
}

function isFor(rule: CanonicalRule, role: AddressRole): boolean {
  return (rule.of === 'both' || rule.of === role.of) && (rule.in === 'both' || rule.in === role.in)
}

function concerns(context: RoutingContext, clients: RewrittenClients, role: AddressRole): boolean {
  return role.in === 'envelope' || clients === 'any' || isOwn(context)
}

/** From this host, or from a user who has logged in. */
function isOwn(context: Omit<RoutingContext, 'tables'>): boolean {
  return context.transaction.user !== undefined || isLocalPeer(context)
}

/** Values are looked up again until nothing changes: one table may lead from an old name over another to the new one. */
const longestChain = 10

function canonicalAddress(context: RoutingContext, { table }: CanonicalRule, mailbox: Mailbox): Mailbox {
  let address = mailbox
  for (let count = 0; count < longestChain; count += 1) {
    const next = lookUp(context, table, address)
    if (next === undefined || next === address) return address
    address = next
  }
  throw new TableError(`table "${table.name}" leads round in circles from ${mailbox}`)
}

/** Keys: `user+detail@domain`, `user@domain`, of a domain of this host `user+detail` and `user`, last `@domain`. */
function lookUp(context: RoutingContext, table: Table, mailbox: Mailbox): Mailbox | undefined {
  const [user, domain] = [localPart(mailbox), domainOf(mailbox)]
  const cut = user.indexOf(context.configuration.subAddressDelimiter)
  const [plain, detail] = cut < 1 ? [user, ''] : [user.slice(0, cut), user.slice(cut)]
  const find = (key: string): string | undefined => context.tables.lookup(table, key)
  const make = (value: string, behind: string): Mailbox => valueOf(context, table, value, mailbox, behind)

  const whole = find(`${user}@${domain}`)
  if (whole !== undefined) return make(whole, '')
  const withoutDetail = detail === '' ? undefined : find(`${plain}@${domain}`)
  if (withoutDetail !== undefined) return make(withoutDetail, detail)
  const wholeUser = find(user)
  const plainUser = wholeUser === undefined && detail !== '' ? find(plain) : undefined
  const ofUser = wholeUser ?? plainUser
  if (ofUser !== undefined && isHere(context, mailbox)) return make(ofUser, wholeUser === undefined ? detail : '')
  const ofDomain = find(`@${domain}`)
  return ofDomain === undefined ? undefined : make(ofDomain, '')
}

/** `user@domain`, `user` of our domain, `@domain` for the same user. `detail` goes behind a user part that has none of its own. */
function valueOf(context: RoutingContext, table: Table, written: string, mailbox: Mailbox, detail: string): Mailbox {
  const value = written.trim()
  const full = value.startsWith('@')
    ? `${localPart(mailbox)}${value}`
    : withDetail(value.includes('@') ? value : `${value}@${ownDomain(context)}`, detail)
  const address = parseMailbox(full)
  if (address === undefined) throw new TableError(`table "${table.name}": "${value}" for ${mailbox} is no address`)
  return address
}

function withDetail(address: string, detail: string): string {
  const at = address.lastIndexOf('@')
  return `${address.slice(0, at)}${detail}${address.slice(at)}`
}

function ownDomain({ configuration }: Pick<RoutingContext, 'configuration'>): string {
  return configuration.pipeline.rewriting.appendDomain ?? configuration.hostname
}

/** A user of this host: mail for the address is delivered here. */
function isHere(context: RoutingContext, mailbox: Mailbox): boolean {
  const domain = domainOf(mailbox)
  if (domain === ownDomain(context) || isLocalDomain(domain, context)) return true
  return journeyOf(context, mailbox).last.route.kind === 'local'
}

function masqueraded({ tables }: RoutingContext, { domains, except }: MasqueradeSettings, mailbox: Mailbox): Mailbox {
  const domain = domainOf(mailbox)
  const decisive = domains.find(({ name }) => domain === name || domain.endsWith(`.${name}`))
  if (decisive === undefined || !decisive.hide || decisive.name === domain) return mailbox
  if (except !== undefined && tables.contains(except, localPart(mailbox))) return mailbox
  return `${localPart(mailbox)}@${decisive.name}` as Mailbox
}
