import type { Action, Condition, Configuration, Position, RelayAction, Rule } from '../config/model.ts'
import { queueOfRelay } from '../config/return-tags.ts'
import { TableError } from '../config/tables.ts'
import { domainOf, type Mailbox } from '../mail/address.ts'
import type { RelayOrder } from '../mail/envelope.ts'
import { replies, type Reply } from '../mail/reply.ts'
import { tag, type Tag } from '../mail/tag.ts'
import { holds, isLocalDomain } from './condition.ts'
import { indexOf } from './rule-index.ts'
import { expandedHere, type RoutingContext } from './transaction.ts'

/** Where one recipient of a message goes next, and the rule that says so. */
export type Route =
  | {
      readonly kind: 'stage'
      readonly queue: string
      /** The message comes back with it. */
      readonly tag: Tag
      readonly action: string
      readonly rule: RuleReference
    }
  | { readonly kind: 'local'; readonly action: string; readonly rule: RuleReference }
  | {
      readonly kind: 'relay'
      readonly action: string
      /** The lane: the first smarthost as written, or the domain of the recipient. */
      readonly destination?: string
      /** An operator's, in place of what the rule says. */
      readonly order?: RelayOrder
      readonly rule: RuleReference
    }
  | { readonly kind: 'reject'; readonly reply: Reply; readonly rule?: RuleReference }

export interface RuleReference extends Position {
  readonly text: string
}

export interface RouteRequest extends RoutingContext {
  readonly recipient: Mailbox
  /** The address an alias was expanded from: until that one is routed to its end, the copy takes the same way. */
  readonly original?: Mailbox
  /** Holds for a relay alone: queues before it, deliveries here and refusals stay as the rules say. */
  readonly order?: RelayOrder
}

/**
 * First match wins; no match refuses. Pure but for the tables.
 * @throws TableError when a table cannot be read: answer 451
 */
export function routeRecipient(request: RouteRequest): Route {
  const found = byRules(request)
  const { order } = request
  return order === undefined || found.kind !== 'relay' ? found : ordered(found, order, request)
}

function byRules(request: RouteRequest): Route {
  const { original, recipient } = request
  if (original === undefined || original === recipient) return route(request, recipient)
  const way = route(request, original)
  if (way.kind === 'stage') return way
  return route({ ...request, transaction: expandedHere(request.transaction) }, recipient)
}

/** An action that is no relay any more, or is gone, stays named: the copy waits for an operator to mend it. */
function ordered(rule: Route & { kind: 'relay' }, order: RelayOrder, request: RouteRequest): Route {
  if (order.kind === 'host') return { ...rule, destination: order.url, order }
  const action = request.configuration.actions.get(order.name)
  const next = action?.kind === 'relay' ? nextHop(action, request, request.recipient) : domainOf(request.recipient)
  return { ...rule, action: order.name, destination: next, order }
}

/** The same at once, for look-ahead. @throws TableError */
export function route(context: RoutingContext, recipient: Mailbox): Route {
  for (const rule of indexOf(context.configuration.rules).candidates(context.transaction, recipient)) {
    if (firstFailure(rule, context, recipient) === undefined) return carryOut(rule, context, recipient)
  }
  return { kind: 'reject', reply: noRule(context, recipient) }
}

/** The first condition that does not hold; absent when the rule matches. @throws TableError */
export function firstFailure(rule: Rule, context: RoutingContext, recipient: Mailbox): Condition | undefined {
  return rule.conditions.find((condition) => !holds(condition, context, recipient))
}

export function referenceOf(rule: Rule): RuleReference {
  return { ...rule.at, text: rule.text }
}

export function invalidRecipient(recipient: Mailbox): Reply {
  return { code: 550, enhanced: '5.1.1', text: `Invalid recipient: <${recipient}>` }
}

function carryOut(rule: Rule, context: RoutingContext, recipient: Mailbox): Route {
  const reference = referenceOf(rule)
  if (rule.decision.kind === 'reject') {
    const reply = { code: 550, enhanced: '5.7.1', text: `Invalid recipient: <${recipient}>` }
    return { kind: 'reject', reply, rule: reference }
  }
  const action = actionNamed(context.configuration, rule.decision.name)
  if (action.kind === 'local') return { kind: 'local', action: action.name, rule: reference }
  const host = firstHost(action, context)
  const queue = host === undefined ? undefined : queueOfRelay(context.configuration.pipeline.queues, host)
  if (queue !== undefined && queue.tag !== '') {
    return { kind: 'stage', queue: queue.name, tag: tag(queue.tag), action: action.name, rule: reference }
  }
  return { kind: 'relay', action: action.name, destination: nextHop(action, context, recipient), rule: reference }
}

type NamedRelay = Extract<Action, RelayAction>

function firstHost(action: NamedRelay, { tables }: RoutingContext): string | undefined {
  return action.host === undefined ? undefined : tables.entries(action.host, 'relayhost')[0]
}

function nextHop(action: NamedRelay, context: RoutingContext, recipient: Mailbox): string {
  return firstHost(action, context) ?? relayByDomain(action, context, recipient) ?? domainOf(recipient)
}

function relayByDomain(action: NamedRelay, context: RoutingContext, recipient: Mailbox): string | undefined {
  if (action.domain === undefined) return undefined
  const url = context.tables.lookup(action.domain, domainOf(recipient), 'relayhost')
  if (url === undefined) {
    throw new TableError(`table "${action.domain.name}": no relay for ${domainOf(recipient)} (action "${action.name}")`)
  }
  return url
}

function actionNamed(configuration: Configuration, name: string): Action {
  const action = configuration.actions.get(name)
  if (action === undefined) throw new Error(`a rule names the action "${name}", which is not declared`)
  return action
}

/** Nobody's domain here: a relay is asked for. A domain some rule names: the recipient is wrong. */
function noRule(context: RoutingContext, recipient: Mailbox): Reply {
  const domain = domainOf(recipient)
  const rules = indexOf(context.configuration.rules)
  const ours =
    isLocalDomain(domain, context) ||
    rules.namesDomain(domain.toLowerCase()) ||
    rules.openDomainRules.some(({ conditions }) =>
      conditions.some((one) => one.kind === 'for-domain' && !one.not && holds(one, context, recipient)),
    )
  return ours ? invalidRecipient(recipient) : replies.relayDenied
}
