import type { Mailbox } from '../mail/address.ts'
import { invalidRecipient } from './route.ts'
import type { Resolution } from './expand.ts'
import { resolveUnlessMoved } from './relocated.ts'
import { rewrittenAddress } from './rewriting.ts'
import { decodeSrs, isSrs } from './srs.ts'
import { expandedHere, type RoutingContext } from './transaction.ts'

/** What the rules are asked about: the address of RCPT, as `canonical` writes it. */
export interface ForwardPath {
  readonly mailbox: Mailbox
  /** Whom an SRS address of ours stands for, or the address of RCPT: before `canonical`. */
  readonly named: Mailbox
  readonly context: RoutingContext
}

/**
 * A bounce to an address that we wrote on forwarded mail is for the sender of that mail, and comes from here: who knows such an
 * address got mail from us. `undefined`: an SRS address that we did not write, or too old. @throws TableError
 */
export function forwardPathOf(context: RoutingContext, mailbox: Mailbox, nowAt: number): ForwardPath | undefined {
  const { srs } = context.configuration
  if (srs === undefined || context.transaction.reversePath !== null || !isSrs(mailbox)) return written(context, mailbox)
  const decoded = decodeSrs(mailbox, srs, nowAt)
  if (decoded === undefined) return undefined
  return written({ ...context, transaction: expandedHere(context.transaction) }, decoded)
}

function written(context: RoutingContext, named: Mailbox): ForwardPath {
  return { mailbox: rewrittenAddress(context, named, { of: 'recipient', in: 'envelope' }), named, context }
}

/** The answer to RCPT TO. @throws TableError answer 451 */
export function resolveForwardPath(context: RoutingContext, mailbox: Mailbox, nowAt: number): Resolution {
  const asked = forwardPathOf(context, mailbox, nowAt)
  if (asked === undefined) return { kind: 'rejected', reply: invalidRecipient(mailbox) }
  return resolveUnlessMoved(asked.context, asked.mailbox)
}
