import type { Configuration } from '../../shared/config/model.ts'
import { settle } from '../../shared/config/settle.ts'
import type { Mailbox } from '../../shared/mail/address.ts'
import type { Envelope } from '../../shared/mail/envelope.ts'
import { resolveForwardPath } from '../../shared/routing/forward-path.ts'
import { journeyOf } from '../../shared/routing/journey.ts'
import { expandedHere, peerOf } from '../../shared/routing/transaction.ts'
import type { RoutingContext, Transaction } from '../../shared/routing/transaction.ts'
import type { ServiceContext } from '../../shared/service.ts'
import { localAddresses } from '../../shared/system.ts'
import type { Resolution, ResolveRecipient } from './reception.ts'

/** Asks the rules about a forward-path, looking ahead through our queues. Local is what an address of this host says, as of now. */
export function recipientResolver(configuration: Configuration, tables: ServiceContext['tables']): ResolveRecipient {
  const local = localAddresses()
  return async (envelope, mailbox) => {
    const asked = { configuration, localAddresses: local, transaction: transactionOf(envelope) }
    return settle(tables, (settled) => {
      const context = { ...asked, tables: settled }
      const resolution = resolveForwardPath(context, mailbox, envelope.receivedAt)
      return configuration.pipeline.quotaStatus === undefined ? resolution : withMailbox(context, mailbox, resolution)
    })
  }
}

/** An alias for one mailbox is asked for as the mailbox, a list of many is not. */
function withMailbox(context: RoutingContext, asked: Mailbox, resolution: Resolution): Resolution {
  if (resolution.kind === 'rejected') return resolution
  const [only, ...others] = resolution.recipients
  if (only === undefined || others.length > 0 || only.target !== undefined) return resolution
  const transaction = only.mailbox === asked ? context.transaction : expandedHere(context.transaction)
  const { route } = journeyOf({ ...context, transaction }, only.mailbox).last
  return route.kind === 'local' ? { ...resolution, deliveredTo: only.mailbox } : resolution
}

/** The message as rules see it. */
export function transactionOf({
  origin,
  tags,
  reversePath,
}: Pick<Envelope, 'origin' | 'tags' | 'reversePath'>): Transaction {
  return {
    peer: peerOf(origin),
    ...(origin.helo === undefined ? {} : { helo: origin.helo }),
    ...(origin.user === undefined ? {} : { user: origin.user }),
    tls: origin.tls !== undefined,
    tags,
    reversePath,
  }
}
