import type { Configuration } from '../config/model.ts'
import { settle } from '../config/settle.ts'
import type { TableSet } from '../config/tables.ts'
import type { Envelope, Recipient } from '../mail/envelope.ts'
import { routeRecipient } from '../routing/route.ts'
import type { Route } from '../routing/route.ts'
import { peerOf } from '../routing/transaction.ts'
import type { Transaction } from '../routing/transaction.ts'
import type { RuleHits } from '../rule-hits/rule-hits.ts'

/**
 * Where a recipient of this message goes by the rules in force now. `hops` counts the queues it came through: behind the first one the
 * peer is `local`, as for a message that a content filter hands back.
 * @throws TableError when a table cannot be read: temporary, never "no match"
 */
export type Router = (envelope: Envelope, recipient: Recipient, hops: number) => Promise<Route>

export function createRouter(
  current: () => Configuration,
  tables: TableSet,
  localAddresses: ReadonlySet<string>,
  hits?: Pick<RuleHits, 'count'>,
): Router {
  return async (envelope, recipient, hops) => {
    const request = {
      configuration: current(),
      localAddresses,
      recipient: recipient.mailbox,
      ...(recipient.original === undefined ? {} : { original: recipient.original }),
      ...(recipient.order === undefined ? {} : { order: recipient.order }),
      transaction: transactionOf(envelope, hops),
    } as const
    const found = await settle(tables, (settled) => routeRecipient({ ...request, tables: settled }))
    if (found.kind === 'reject' && found.rule !== undefined) hits?.count(found.rule.text)
    return found
  }
}

/** What rules may ask about a message that has come through so many queues. */
export function transactionOf(
  { origin, tags, reversePath }: Pick<Envelope, 'origin' | 'tags' | 'reversePath'>,
  hops: number,
): Transaction {
  return {
    peer: hops > 0 ? 'local' : peerOf(origin),
    ...(origin.helo === undefined ? {} : { helo: origin.helo }),
    ...(origin.user === undefined ? {} : { user: origin.user }),
    ...(origin.kind === 'local' ? { trusted: true } : {}),
    tls: origin.tls !== undefined,
    tags,
    reversePath,
  }
}
