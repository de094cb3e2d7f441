import type { Configuration } from '../config/model.ts'
import { settle } from '../config/settle.ts'
import type { TableSet } from '../config/tables.ts'
import type { Mailbox } from '../mail/address.ts'
import type { Envelope, Recipient } from '../mail/envelope.ts'
import { resolveRecipient, type Resolution } from '../routing/expand.ts'
import { resolveUnlessMoved } from '../routing/relocated.ts'
import { rewrittenAddress } from '../routing/rewriting.ts'
import { expandedHere } from '../routing/transaction.ts'
import { transactionOf } from './router.ts'

/**
 * The recipients of a message made here with their aliases expanded, `canonical` before them, as RCPT does for mail that comes in. Whom the rules refuse
 * stays as he is: he fails on his way, where everybody sees it.
 * @throws TableError when a table cannot be read: temporary
 */
export type Expander = (envelope: Envelope) => Promise<readonly Recipient[]>

export function createExpander(
  current: () => Configuration,
  tables: TableSet,
  localAddresses: ReadonlySet<string>,
): Expander {
  return async (envelope) => {
    const rules = { configuration: current(), localAddresses, transaction: transactionOf(envelope, 0) }
    const copies: Recipient[] = []
    for (const recipient of envelope.recipients) {
      const resolution = await settle(tables, (settled) => {
        const context = { ...rules, tables: settled }
        const role = { of: 'recipient', in: 'envelope' } as const
        return resolveRecipient(context, rewrittenAddress(context, recipient.mailbox, role))
      })
      copies.push(...copiesOf(recipient, resolution))
    }
    return copies
  }
}

/** What an address stands for that an operator names for a copy of this message, as if an alias of the old one gave it. @throws TableError */
export type Readdresser = (envelope: Envelope, mailbox: Mailbox) => Promise<Resolution>

export function createReaddresser(
  current: () => Configuration,
  tables: TableSet,
  localAddresses: ReadonlySet<string>,
): Readdresser {
  return async (envelope, mailbox) => {
    const transaction = expandedHere(transactionOf(envelope, 0))
    const rules = { configuration: current(), localAddresses, transaction }
    return settle(tables, (settled) => resolveUnlessMoved({ ...rules, tables: settled }, mailbox))
  }
}

function copiesOf(recipient: Recipient, resolution: Resolution): readonly Recipient[] {
  if (resolution.kind === 'rejected') return [recipient]
  return resolution.recipients.map(({ mailbox, target }) => ({
    ...recipient,
    mailbox,
    ...(mailbox === recipient.mailbox ? {} : { original: recipient.mailbox }),
    ...(target === undefined ? {} : { target }),
  }))
}
