import type { LocalAction, Table } from '../config/model.ts'
import { TableError } from '../config/tables.ts'
import { domainOf, localPart, parseMailbox, type Mailbox } from '../mail/address.ts'
import { copyKey, type LocalTarget } from '../mail/envelope.ts'
import { isPermanent, type Reply } from '../mail/reply.ts'
import { parseAliasValue, type AliasTarget } from './alias-value.ts'
import { forwardTargets } from './forward-file.ts'
import { includedTargets } from './include-file.ts'
import { journeyOf } from './journey.ts'
import { accountsOf, isKnownUser } from './known-user.ts'
import { invalidRecipient, type Route } from './route.ts'
import { expandedHere, type RoutingContext, type Transaction } from './transaction.ts'

/** The answer to RCPT TO. */
export type Resolution =
  | { readonly kind: 'accepted'; readonly recipients: readonly ResolvedRecipient[] }
  | { readonly kind: 'rejected'; readonly reply: Reply }

export interface ResolvedRecipient {
  /** Where this copy goes: `Recipient.mailbox`; the address of RCPT is `Recipient.original` when it differs. */
  readonly mailbox: Mailbox
  /** What is done with it instead of the action's delivery. */
  readonly target?: LocalTarget
  /** The first step: a queue that comes before delivery, or the delivery itself. */
  readonly route: Exclude<Route, { readonly kind: 'reject' }>
}

const maximumDepth = 10
const expansionProblem: Reply = { code: 524, enhanced: '5.2.4', text: 'Mailing list expansion problem' }
const notEnabled: Reply = {
  code: 451,
  enhanced: '4.3.5',
  text: 'The alias leads to a command or a file: not enabled here (pipeline.conf: mda enable)',
}
const unusable: Reply = { code: 451, enhanced: '4.3.5', text: 'The alias leads to nothing that can be carried out' }
const staysHere: Reply = { code: 451, enhanced: '4.2.1', text: 'Nothing says where mail for this user is passed on to' }
/** Nodes of one RCPT: all of them are looked at while the client waits. */
const maximumNodes = 2000

interface Node {
  readonly kind: 'address' | 'user' | 'include'
  readonly mailbox: Mailbox
  /** Of an include, which the mailbox led to. */
  readonly path?: string
  readonly depth: number
  readonly transaction: Transaction
  /** User nodes: the rule and the action that met it. */
  readonly rule?: { readonly text: string }
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
  const found = new Map<string, ResolvedRecipient>()
  const seen = new Set<string>()
  const open: Node[] = [{ kind: 'address', mailbox, depth: 0, transaction: context.transaction }]
  for (let node = open.shift(); node !== undefined; node = open.shift()) {
    if (node.depth > maximumDepth || seen.size > maximumNodes) return { kind: 'rejected', reply: expansionProblem }
    const key = `${node.kind} ${node.path ?? node.mailbox.toLowerCase()}`
    if (seen.has(key)) continue
    seen.add(key)
    const result = expandNode(context, node)
    if (result.kind === 'rejected') return result
    for (const recipient of result.recipients) found.set(copyKey(recipient), recipient)
    open.push(...result.nodes)
  }
  if (found.size === 0) return { kind: 'rejected', reply: expansionProblem }
  return { kind: 'accepted', recipients: [...found.values()] }
}

type Expansion =
  | { readonly kind: 'rejected'; readonly reply: Reply }
  | { readonly kind: 'expanded'; readonly recipients: readonly ResolvedRecipient[]; readonly nodes: readonly Node[] }

function expandNode(context: RoutingContext, node: Node): Expansion {
  switch (node.kind) {
    case 'address':
      return expandAddress(context, node)
    case 'user':
      return expandUser(context, node)
    case 'include':
      return nodesOf(context, targetsOfInclude(context, node.path ?? ''), node)
  }
}

/** @throws TableError when the file is not there or cannot be used: as for a table, somebody has to mend it */
function targetsOfInclude({ tables }: RoutingContext, path: string): readonly AliasTarget[] {
  const found = includedTargets(tables.files, path)
  if (found.kind === 'targets') return found.targets
  throw new TableError(`:include:${path}: ${found.kind === 'none' ? 'there is no such file' : found.why}`)
}

function expandAddress(context: RoutingContext, node: Node): Expansion {
  const { steps, last } = journeyOf({ ...context, transaction: node.transaction }, node.mailbox)
  if (last.route.kind === 'reject') {
    if (last.route.rule !== undefined) context.decided?.(last.route.rule)
    return { kind: 'rejected', reply: last.route.reply }
  }
  const firstRoute = steps[0]?.route
  const first = node.first ?? (firstRoute === undefined || firstRoute.kind === 'reject' ? last.route : firstRoute)
  const action = last.route.kind === 'stage' ? undefined : context.configuration.actions.get(last.route.action)
  if (action === undefined || action.kind === 'relay') {
    return { kind: 'expanded', recipients: [{ mailbox: node.mailbox, route: first }], nodes: [] }
  }
  const met: Node = {
    ...node,
    kind: 'user',
    transaction: last.transaction,
    action,
    route: first,
    rule: last.route.rule,
  }
  if (action.virtual === undefined) return { kind: 'expanded', recipients: [], nodes: [met] }
  context.decided?.(last.route.rule)
  const value = lookupFirst(context, action.virtual, virtualKeys(node.mailbox, context))
  if (value === undefined) return { kind: 'rejected', reply: invalidRecipient(node.mailbox) }
  return nodesOf(context, parseAliasValue(value), met)
}

function expandUser(context: RoutingContext, node: Node): Expansion {
  const { action, route, mailbox } = node
  if (action === undefined || route === undefined) throw new Error('a user without an action')
  const user = localPart(mailbox).toLowerCase()
  const plain = withoutSubAddress(user, context)
  const table = action.alias ?? action.virtual
  const value = table === undefined ? undefined : lookupFirst(context, table, [...new Set([user, plain])])
  const targets = value === undefined ? [] : parseAliasValue(value)
  const isHimself = (target: AliasTarget): boolean =>
    target.kind === 'user' && (target.text === user || target.text === plain)
  if (value !== undefined && !targets.some((target) => isHimself(target))) {
    if (node.rule !== undefined) context.decided?.(node.rule)
    return nodesOf(context, targets, node)
  }
  if (action.method.kind === 'expand-only' || !isKnownUser(context, action, plain, mailbox)) {
    return { kind: 'rejected', reply: invalidRecipient(mailbox) }
  }
  // `joe: joe, ann`: joe gets his copy without being looked up again, and ann hers.
  const others = nodesOf(
    context,
    targets.filter((target) => !isHimself(target)),
    node,
  )
  const own = deliverToUser(context, { ...node, action, route }, plain)
  if (others.kind === 'rejected') return others
  if (own.kind === 'rejected') return own
  return {
    kind: 'expanded',
    recipients: [...own.recipients, ...others.recipients],
    nodes: [...own.nodes, ...others.nodes],
  }
}

type UserNode = Node & Required<Pick<Node, 'action' | 'route'>>

/** A user who is known: as his .forward says, where there is one, else into his mailbox. @throws TableError */
function deliverToUser(context: RoutingContext, node: UserNode, name: string): Expansion {
  const { mailbox, route, action } = node
  const targets = targetsOfUser(context, action, name)
  if (targets === undefined) {
    if (action.method.kind === 'forward-only') return { kind: 'rejected', reply: staysHere }
    return { kind: 'expanded', recipients: [{ mailbox, route }], nodes: [] }
  }
  const isHimself = ({ kind, text }: AliasTarget): boolean =>
    (kind === 'user' && text === name) || (kind === 'address' && text.toLowerCase() === mailbox.toLowerCase())
  const others = targets.filter((target) => !isHimself(target))
  const expansion = nodesOf(context, others, node, name)
  if (expansion.kind === 'rejected' || others.length === targets.length) return expansion
  if (action.method.kind === 'forward-only') return { kind: 'rejected', reply: staysHere }
  return { ...expansion, recipients: [{ mailbox, route }, ...expansion.recipients] }
}

/** `forward files` of pipeline.conf: the home folder is the userbase's, below the folder that is named there, or of that name. */
function targetsOfUser(
  { configuration, tables }: RoutingContext,
  { user, userbase }: LocalAction,
  name: string,
): readonly AliasTarget[] | undefined {
  const { forwardFiles, users } = configuration.pipeline
  if (forwardFiles === undefined || (user !== undefined && user !== name)) return undefined
  if (!/^[a-z0-9_][a-z0-9_.-]*$/.test(name)) return undefined
  const table = userbase ?? accountsOf(users)
  const account = table === undefined ? undefined : tables.userInfo(table, name)
  const home = account?.home ?? `${forwardFiles}/${name}`
  if (!home.startsWith(`${forwardFiles}/`)) return undefined
  const found = forwardTargets(tables.files, { name, home, ...(account === undefined ? {} : { uid: account.uid }) })
  if (found.kind === 'unusable') throw new TableError(`.forward of ${found.why}`)
  return found.kind === 'none' ? undefined : found.targets
}

/** @param forwarder whose .forward the targets are of; else they are of an alias */
function nodesOf(context: RoutingContext, targets: readonly AliasTarget[], from: Node, forwarder?: string): Expansion {
  const nodes: Node[] = []
  const recipients: ResolvedRecipient[] = []
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
      case 'unusable':
        return { kind: 'rejected', reply: unusable }
      case 'include':
        // A user may not have us read files that he cannot read himself.
        if (forwarder !== undefined) return { kind: 'rejected', reply: unusable }
        nodes.push({ ...from, kind: 'include', path: target.text, depth: from.depth + 1 })
        break
      case 'command':
      case 'file': {
        const { route, action, mailbox } = from
        if (route === undefined || action === undefined) throw new Error('a target without an action')
        if (!context.configuration.pipeline.mda.enabled) return { kind: 'rejected', reply: notEnabled }
        if (action.method.kind === 'forward-only') return { kind: 'rejected', reply: staysHere }
        const user = forwarder === undefined ? {} : { user: forwarder }
        recipients.push({ mailbox, route, target: { kind: target.kind, text: target.text, ...user } })
        break
      }
      case 'user':
      case 'address': {
        const text = target.kind === 'user' ? `${target.text}@${domainOf(from.mailbox)}` : target.text
        const mailbox = parseMailbox(text)
        if (mailbox === undefined) return { kind: 'rejected', reply: expansionProblem }
        const { path: _, ...parent } = from
        const { action: __, route: ___, ...rest } = parent
        const transaction = expandedHere(from.transaction)
        const first = from.first ?? stageOf(from.route)
        const base = { ...rest, mailbox, transaction, depth: from.depth + 1, ...(first === undefined ? {} : { first }) }
        nodes.push(target.kind === 'address' ? { ...base, kind: 'address' } : { ...parent, ...base, kind: 'user' })
      }
    }
  }
  return { kind: 'expanded', recipients, nodes }
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

function withoutSubAddress(user: string, context: RoutingContext): string {
  const cut = user.indexOf(context.configuration.subAddressDelimiter)
  return cut < 1 ? user : user.slice(0, cut)
}
