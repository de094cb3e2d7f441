import type { Configuration } from '../../shared/config/model.ts'
import { settle } from '../../shared/config/settle.ts'
import type { Envelope } from '../../shared/mail/envelope.ts'
import { resolveForwardPath } from '../../shared/routing/forward-path.ts'
import { peerOf } from '../../shared/routing/transaction.ts'
import type { Transaction } from '../../shared/routing/transaction.ts'
import type { ServiceContext } from '../../shared/service.ts'
import { localAddresses } from '../../shared/system.ts'
import type { ResolveRecipient } from './reception.ts'

/** Asks the rules about a forward-path, looking ahead through our queues. Local is what an address of this host says, as of now. */
export function recipientResolver(configuration: Configuration, tables: ServiceContext['tables']): ResolveRecipient {
  const local = localAddresses()
  return async (envelope, mailbox) => {
    const asked = { configuration, localAddresses: local, transaction: transactionOf(envelope) }
    return settle(tables, (settled) => resolveForwardPath({ ...asked, tables: settled }, mailbox, envelope.receivedAt))
  }
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
