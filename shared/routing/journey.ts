import type { Mailbox } from '../mail/address.ts'
import { replies } from '../mail/reply.ts'
import { route, type Route } from './route.ts'
import { handedBack, type RoutingContext, type Transaction } from './transaction.ts'

/** One decision on the way, and what the message was like when it was made. */
export interface Step {
  readonly transaction: Transaction
  readonly route: Route
}

/** The whole way of one recipient through our queues. */
export interface Journey {
  readonly steps: readonly Step[]
  /** The end of it: never a stage. A way that leads into one queue twice ends in 554 5.4.6. */
  readonly last: Step
}

/**
 * Looks ahead: routes as if each queue had handed the message back with its tag.
 * @throws TableError
 */
export function journeyOf(context: RoutingContext, recipient: Mailbox): Journey {
  const steps: Step[] = []
  const visited = new Set<string>()
  let { transaction } = context
  for (;;) {
    const next = route({ ...context, transaction }, recipient)
    const step = { transaction, route: next }
    steps.push(step)
    if (next.kind !== 'stage') return { steps, last: step }
    if (visited.has(next.queue)) {
      const last: Step = { transaction, route: { kind: 'reject', reply: replies.routingLoop, rule: next.rule } }
      return { steps, last }
    }
    visited.add(next.queue)
    transaction = handedBack(transaction, next.tag)
  }
}
