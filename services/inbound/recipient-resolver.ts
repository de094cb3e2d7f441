import type { Configuration } from '../../shared/config/model.ts'
import type { BlockedSenders } from '../../shared/blocked-senders.ts'
import { settle } from '../../shared/config/settle.ts'
import type { Mailbox, ReversePath } from '../../shared/mail/address.ts'
import type { Envelope } from '../../shared/mail/envelope.ts'
import { replies } from '../../shared/mail/reply.ts'
import { resolveForwardPath } from '../../shared/routing/forward-path.ts'
import { journeyOf } from '../../shared/routing/journey.ts'
import { stranger } from '../../shared/restrictions/stranger.ts'
import { expandedHere, peerOf } from '../../shared/routing/transaction.ts'
import type { RoutingContext, Transaction } from '../../shared/routing/transaction.ts'
import type { RuleHits } from '../../shared/rule-hits/rule-hits.ts'
import type { ServiceContext } from '../../shared/service.ts'
import { localAddresses } from '../../shared/system.ts'
import type { Resolution, ResolveRecipient } from './reception.ts'

/**
 * Asks the rules about a forward-path, looking ahead through our queues. Local is what an address of this host says, as of now. Who has
 * blocked the sender is not reached by him.
 */
export function recipientResolver(
  configuration: Configuration,
  tables: ServiceContext['tables'],
  blocked?: BlockedSenders,
  hits?: Pick<RuleHits, 'count'>,
): ResolveRecipient {
  const local = localAddresses()
  return async (envelope, mailbox) => {
    const asked = { configuration, localAddresses: local, transaction: transactionOf(envelope) }
    // What is asked for a stranger is a question of `restrict`, not mail.
    const counts = hits !== undefined && envelope.origin.address !== stranger
    let decided: readonly string[] = []
    const resolution = await settle(tables, (settled): Resolution => {
      // Asked again from the beginning when a table's answer was awaited.
      const texts: string[] = []
      decided = texts
      const context = {
        ...asked,
        tables: settled,
        decided: ({ text }: { readonly text: string }) => void texts.push(text),
      }
      const resolution = resolveForwardPath(context, mailbox, envelope.receivedAt)
      if (blocked !== undefined && isUnwanted(blocked, envelope.reversePath, resolution, configuration))
        return { kind: 'rejected', reply: replies.senderBlocked }
      return configuration.pipeline.quotaStatus === undefined ? resolution : withMailbox(context, mailbox, resolution)
    })
    if (counts) for (const text of decided) hits.count(text)
    return resolution
  }
}

/** Of a list of many, all must have blocked him: the others want their copy. */
function isUnwanted(
  blocked: BlockedSenders,
  sender: ReversePath,
  resolution: Resolution,
  { subAddressDelimiter }: Configuration,
): boolean {
  if (sender === null || resolution.kind === 'rejected' || resolution.recipients.length === 0) return false
  return resolution.recipients.every(({ mailbox }) => blocked.isBlocked(mailbox, sender, subAddressDelimiter))
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
