import type { Mailbox } from '../mail/address.ts'
import { formatReply } from '../mail/reply.ts'
import { describeCondition } from './condition.ts'
import type { Resolution, ResolvedRecipient } from './expand.ts'
import { journeyOf, type Step } from './journey.ts'
import { forwardPathOf } from './forward-path.ts'
import { resolveUnlessMoved } from './relocated.ts'
import { rewrittenAddress } from './rewriting.ts'
import { firstFailure, invalidRecipient, type Route } from './route.ts'
import type { RoutingContext, Transaction } from './transaction.ts'

/** Why a recipient goes where it goes. */
export interface Explanation {
  /** The address that was asked about, when it is an SRS address of ours: `recipient` is whom it stands for. */
  readonly srs?: Mailbox
  /** The address that `canonical` took `recipient` for. */
  readonly written?: Mailbox
  readonly recipient: Mailbox
  readonly steps: readonly ExplainedStep[]
  /** Set when the way leads into a loop of queues. */
  readonly loop: boolean
  /** What RCPT answers. */
  readonly resolution: Resolution
}

export interface ExplainedStep {
  readonly transaction: Transaction
  /** Rules in order, up to the one that won. */
  readonly rules: readonly ExplainedRule[]
  readonly route: Route
  /** What a relay action does to the sender; absent: nothing. */
  readonly sender?: string
}

export interface ExplainedRule {
  readonly line: number
  readonly text: string
  /** The first condition that did not hold; absent for the winner. */
  readonly failed?: string
}

/** @throws TableError */
export function explain(asked: RoutingContext, address: Mailbox, nowAt: number): Explanation {
  const path = forwardPathOf(withWrittenSender(asked), address, nowAt)
  if (path === undefined) {
    const resolution = { kind: 'rejected', reply: invalidRecipient(address) } as const
    return { srs: address, recipient: address, steps: [], loop: false, resolution }
  }
  const { context, named, mailbox: recipient } = path
  const { steps, last } = journeyOf(context, recipient)
  return {
    ...(named === address ? {} : { srs: address }),
    ...(recipient === named ? {} : { written: named }),
    recipient,
    steps: steps.map((step) => explainStep(context, step, recipient)),
    loop: last.route.kind === 'reject' && steps.at(-1)?.route.kind === 'stage',
    resolution: resolveUnlessMoved(context, recipient),
  }
}

/** For a terminal. */
export function renderExplanation(explanation: Explanation): string {
  const { srs: asked, written, recipient } = explanation
  const srs = asked === undefined ? [] : [describeSrs(asked, written ?? recipient)]
  const canonical = written === undefined ? [] : [`canonical: ${written} is ${recipient}`]
  const steps = explanation.steps.flatMap(({ transaction, rules, route, sender }) => [
    `${explanation.recipient}, ${describeTransaction(transaction)}`,
    ...rules.map(({ line, text, failed }) =>
      failed === undefined ? `  line ${line}: ${text}\n    matches` : `  line ${line}: ${text}\n    no: ${failed}`,
    ),
    `  => ${describeRoute(route)}`,
    ...(sender === undefined ? [] : [`     ${sender}`]),
  ])
  const loop = explanation.loop ? ['the way leads into the same queue again: 554 5.4.6 Routing loop detected'] : []
  return [...srs, ...canonical, ...steps, ...loop, `RCPT: ${describeResolution(explanation.resolution)}`].join('\n')
}

/** As the rules see it: `canonical` and `masquerade` come before them. */
function withWrittenSender(context: RoutingContext): RoutingContext {
  const { reversePath } = context.transaction
  if (reversePath === null) return context
  const written = rewrittenAddress(context, reversePath, { of: 'sender', in: 'envelope' })
  return { ...context, transaction: { ...context.transaction, reversePath: written } }
}

function explainStep(context: RoutingContext, step: Step, recipient: Mailbox): ExplainedStep {
  const here = { ...context, transaction: step.transaction }
  const rules: ExplainedRule[] = []
  for (const rule of context.configuration.rules) {
    const failed = firstFailure(rule, here, recipient)
    rules.push({
      line: rule.at.line,
      text: rule.text,
      ...(failed === undefined ? {} : { failed: describeCondition(failed) }),
    })
    if (failed === undefined) break
  }
  const sender = describeSender(context, step)
  const { transaction, route } = step
  return { transaction, rules, route, ...(sender === undefined ? {} : { sender }) }
}

function describeSender({ configuration }: RoutingContext, { transaction, route }: Step): string | undefined {
  const action = route.kind === 'relay' ? configuration.actions.get(route.action) : undefined
  if (action?.kind !== 'relay' || transaction.reversePath === null) return undefined
  if (action.mailFrom !== undefined) {
    if (action.mailFrom.startsWith('@')) return `the domain of the sender becomes ${action.mailFrom}`
    return `${action.mailFrom.includes('@') ? 'the sender' : 'the user part of the sender'} becomes ${action.mailFrom}`
  }
  return action.srs ? 'the sender becomes an SRS address of ours when an alias sent the mail on' : undefined
}

function describeSrs(srs: Mailbox, recipient: Mailbox): string {
  return srs === recipient
    ? `${srs} is no SRS address of ours, or too old`
    : `${srs} is an SRS address of ours: mail for ${recipient}, from here`
}

function describeTransaction(transaction: Transaction): string {
  const peer = transaction.peer === 'local' ? 'from here' : `from ${transaction.peer.address}`
  const user = transaction.user === undefined ? '' : ` (${transaction.user})`
  const tags = transaction.tags.length === 0 ? 'no tag' : `tag ${transaction.tags.join(', ')}`
  return `${peer}${user}, ${tags}`
}

function describeRoute(route: Route): string {
  switch (route.kind) {
    case 'stage':
      return `action "${route.action}": queue "${route.queue}", comes back with tag ${route.tag}`
    case 'local':
      return `action "${route.action}": delivered here`
    case 'relay':
      return `action "${route.action}": relayed to ${route.destination ?? 'the MX of the domain'}`
    case 'reject':
      return `refused: ${formatReply(route.reply)}`
  }
}

function describeCopy({ mailbox, target }: ResolvedRecipient): string {
  if (target === undefined) return mailbox
  return `${mailbox} by ${target.kind === 'command' ? `|${target.text}` : target.text}`
}

function describeResolution(resolution: Resolution): string {
  if (resolution.kind === 'rejected') return formatReply(resolution.reply)
  return `accepted for ${resolution.recipients.map((recipient) => describeCopy(recipient)).join(', ')}`
}
