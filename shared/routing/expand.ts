import type { LocalAction, Table } from '../config/model.ts'
import { domainOf, localPart, parseMailbox, type Mailbox } from '../mail/address.ts'
import { isPermanent, type Reply } from '../mail/reply.ts'
import { parseAliasValue, type AliasTarget } from './alias-value.ts'
import { journeyOf } from './journey.ts'
import { invalidRecipient, type Route } from './route.ts'
import { expandedHere, type RoutingContext, type Transaction } from './transaction.ts'

/** The answer to RCPT TO. */
export type Resolution =
  | { readonly kind: 'accepted'; readonly recipients: readonly ResolvedRecipient[] }
  | { readonly kind: 'rejected'; readonly reply: Reply }

export interface ResolvedRecipient {
  /** Where this copy goes: `Recipient.mailbox`; the address of RCPT is `Recipient.original` when it differs. */
  readonly mailbox: Mailbox
  /** The first step: a queue that comes before delivery, or the delivery itself. */
  readonly route: Exclude<Route, { readonly kind: 'reject' }>
}

const maximumDepth = 10
const expansionProblem: Reply = { code: 524, enhanced: '5.2.4', text: 'Mailing list expansion problem' }
const notCarriedOut: Reply = { code: 451, enhanced: '4.3.5', text: 'Alias to a command or a file: not enabled here' }

interface Node {
  readonly kind: 'address' | 'user'
  readonly mailbox: Mailbox
  readonly depth: number
  readonly transaction: Transaction
  /** User nodes: the action that met it. */
  readonly action?: LocalAction
  readonly route?: Exclude<Route, { readonly kind: 'reject' }>
  /** First step of the address that led here: the copies go the same way until their original's way ends. */
  readonly first?: Exclude<Route, { readonly kind: 'reject' }>
}

/**
 * Section 7, steps 1 to 4, looking ahead through our queues: the address is routed to its end, the user is verified there, and
 * aliases are expanded now, so that unknown users are refused at RCPT and each copy is one recipient of the envelope from the
 * start. The copies of an alias still pass the queues their original passes (`routeRecipient` with `original`).
 * @throws TableError answer 451
 */
export function resolveRecipient(context: RoutingContext, mailbox: Mailbox): Resolution {
  const found = new Map<Mailbox, ResolvedRecipient>()
  const seen = new Set<string>()
  const open: Node[] = [{ kind: 'address', mailbox, depth: 0, transaction: context.transaction }]
  for (let node = open.shift(); node !== undefined; node = open.shift()) {
    if (node.depth > maximumDepth) return { kind: 'rejected', reply: expansionProblem }
    const key = `${node.kind} ${node.mailbox.toLowerCase()}`
    if (seen.has(key)) continue
    seen.add(key)
    const result = node.kind === 'address' ? expandAddress(context, node) : expandUser(context, node)
    if (result.kind === 'rejected') return result
    for (const recipient of result.recipients) found.set(recipient.mailbox, recipient)
    open.push(...result.nodes)
  }
  if (found.size === 0) return { kind: 'rejected', reply: expansionProblem }
  return { kind: 'accepted', recipients: [...found.values()] }
}

type Expansion =
  | { readonly kind: 'rejected'; readonly reply: Reply }
  | { readonly kind: 'expanded'; readonly recipients: readonly ResolvedRecipient[]; readonly nodes: readonly Node[] }

function expandAddress(context: RoutingContext, node: Node): Expansion {
  const { steps, last } = journeyOf({ ...context, transaction: node.transaction }, node.mailbox)
  if (last.route.kind === 'reject') return { kind: 'rejected', reply: last.route.reply }
  const firstRoute = steps[0]?.route
  const first = node.first ?? (firstRoute === undefined || firstRoute.kind === 'reject' ? last.route : firstRoute)
  const action = last.route.kind === 'stage' ? undefined : context.configuration.actions.get(last.route.action)
  if (action === undefined || action.kind === 'relay') {
    return { kind: 'expanded', recipients: [{ mailbox: node.mailbox, route: first }], nodes: [] }
  }
  const met: Node = { ...node, kind: 'user', transaction: last.transaction, action, route: first }
  if (action.virtual === undefined) return { kind: 'expanded', recipients: [], nodes: [met] }
  const value = lookupFirst(context, action.virtual, virtualKeys(node.mailbox, context))
  if (value === undefined) return { kind: 'rejected', reply: invalidRecipient(node.mailbox) }
  return nodesOf(parseAliasValue(value), met)
}

function expandUser(context: RoutingContext, node: Node): Expansion {
  const { action, route, mailbox } = node
  if (action === undefined || route === undefined) throw new Error('a user without an action')
  const user = localPart(mailbox).toLowerCase()
  const plain = withoutSubAddress(user, context)
  const table = action.alias ?? action.virtual
  const value = table === undefined ? undefined : lookupFirst(context, table, [...new Set([user, plain])])
  const targets = value === undefined ? [] : parseAliasValue(value)
  const himself = targets.some((target) => target.kind === 'user' && (target.text === user || target.text === plain))
  if (value !== undefined && !himself) return nodesOf(targets, node)
  if (action.method.kind === 'forward-only' || action.method.kind === 'expand-only') {
    return { kind: 'rejected', reply: invalidRecipient(mailbox) }
  }
  if (!isKnownUser(context, action, plain, domainOf(mailbox))) {
    return { kind: 'rejected', reply: invalidRecipient(mailbox) }
  }
  // `joe: joe, ann`: joe gets his copy without being looked up again, and ann hers.
  const others = targets.filter((target) => target.kind !== 'user' || (target.text !== user && target.text !== plain))
  const expansion = nodesOf(others, node)
  return expansion.kind === 'rejected' ? expansion : { ...expansion, recipients: [{ mailbox, route }] }
}

function nodesOf(targets: readonly AliasTarget[], from: Node): Expansion {
  const nodes: Node[] = []
  for (const target of targets) {
    switch (target.kind) {
      case 'error': {
        const { code, text } = target
        const [, enhanced, rest] = /^([45]\.\d{1,3}\.\d{1,3})\s+(.*)$/s.exec(text) ?? []
        const reply = { code, text: rest ?? text, ...(enhanced === undefined ? {} : { enhanced }) }
        return {
          kind: 'rejected',
          reply: isPermanent(reply) ? { enhanced: '5.1.1', ...reply } : { enhanced: '4.2.1', ...reply },
        }
      }
      case 'unsupported':
        return { kind: 'rejected', reply: notCarriedOut }
      case 'user':
      case 'address': {
        const text = target.kind === 'user' ? `${target.text}@${domainOf(from.mailbox)}` : target.text
        const mailbox = parseMailbox(text)
        if (mailbox === undefined) return { kind: 'rejected', reply: expansionProblem }
        const { action: _, route: __, ...rest } = from
        const transaction = expandedHere(from.transaction)
        const first = from.first ?? stageOf(from.route)
        const base = { ...rest, mailbox, transaction, depth: from.depth + 1, ...(first === undefined ? {} : { first }) }
        nodes.push(target.kind === 'address' ? { ...base, kind: 'address' } : { ...from, ...base, kind: 'user' })
      }
    }
  }
  return { kind: 'expanded', recipients: [], nodes }
}

/** Copies follow their original only through queues. */
function stageOf(route: Node['route']): Node['route'] {
  return route?.kind === 'stage' ? route : undefined
}

/** `user+tag@dom`, `user@dom`, `user+tag`, `user`, `@dom`, `@`: section 7, step 2. */
function virtualKeys(mailbox: Mailbox, context: RoutingContext): readonly string[] {
  const user = localPart(mailbox).toLowerCase()
  const domain = domainOf(mailbox)
  const plain = withoutSubAddress(user, context)
  return [...new Set([`${user}@${domain}`, `${plain}@${domain}`, user, plain, `@${domain}`, '@'])]
}

function lookupFirst(context: RoutingContext, table: Table, keys: readonly string[]): string | undefined {
  for (const key of keys) {
    const value = context.tables.lookup(table, key)
    if (value !== undefined) return value
  }
  return undefined
}

/** The userbase of the action, else `users` of pipeline.conf; virtual users that one `user` owns are known by being listed. */
function isKnownUser(context: RoutingContext, action: LocalAction, user: string, domain: string): boolean {
  const { tables, configuration } = context
  if (action.userbase !== undefined) return tables.lookup(action.userbase, user) !== undefined
  if (action.user !== undefined && action.virtual !== undefined) return true
  const { users } = configuration.pipeline
  if (users.kind === 'any') return true
  const table: Table =
    users.kind === 'table'
      ? users.table
      : {
          name: '<users>',
          source: { kind: 'file', path: users.file, format: 'passwd' },
          at: { file: users.file, line: 0, column: 0 },
        }
  return tables.contains(table, user) || tables.contains(table, `${user}@${domain}`)
}

function withoutSubAddress(user: string, context: RoutingContext): string {
  const cut = user.indexOf(context.configuration.subAddressDelimiter)
  return cut < 1 ? user : user.slice(0, cut)
}
