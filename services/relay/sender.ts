import type { RelayAction, SrsSettings } from '../../shared/config/model.ts'
import { domainOf, localPart, parseMailbox } from '../../shared/mail/address.ts'
import type { ReversePath } from '../../shared/mail/address.ts'
import type { Recipient } from '../../shared/mail/envelope.ts'
import type { StageMessage } from '../../shared/pipeline/stage.ts'
import { encodeSrs } from '../../shared/routing/srs.ts'

/** Recipients that get the message from the same sender: one transaction. */
export interface SenderPart {
  readonly reversePath: ReversePath
  /** Indexes of the envelope's recipients. */
  readonly pending: readonly number[]
}

export interface SenderParts {
  readonly action: RelayAction
  readonly srs: SrsSettings | undefined
  readonly nowAt: number
}

/**
 * Who the next host is told the sender is. It stands in MAIL FROM of this hop only: the envelope keeps the real one, so that what we
 * have to report goes there. With `srs` the address depends on the domain that a copy was forwarded from, so there may be several.
 */
export function partsBySender(message: StageMessage, parts: SenderParts): readonly SenderPart[] {
  const { envelope, pending } = message
  const ours = senderOf(envelope.reversePath, parts.action)
  if (!parts.action.srs || ours !== envelope.reversePath) return [{ reversePath: ours, pending }]
  const bySender = new Map<ReversePath, number[]>()
  for (const index of pending) {
    const sender = forwardedSender(ours, envelope.recipients[index], parts)
    const indexes = bySender.get(sender)
    if (indexes === undefined) bySender.set(sender, [index])
    else indexes.push(index)
  }
  return [...bySender].map(([reversePath, indexes]) => ({ reversePath, pending: indexes }))
}

/**
 * `mail-from`, or `as` of the old grammar, takes the place of the sender or of one half of it; the null reverse-path stays, or bounces
 * would be answered.
 */
function senderOf(reversePath: ReversePath, { mailFrom }: RelayAction): ReversePath {
  if (reversePath === null || mailFrom === undefined) return reversePath
  const at = mailFrom.lastIndexOf('@')
  const user = at < 0 ? mailFrom : mailFrom.slice(0, at)
  const domain = at < 0 ? '' : mailFrom.slice(at + 1)
  return parseMailbox(`${user || localPart(reversePath)}@${domain || domainOf(reversePath)}`) ?? reversePath
}

/** Only what an alias sent on is forwarded mail: SRS under the domain it came to. */
function forwardedSender(
  reversePath: ReversePath,
  recipient: Recipient | undefined,
  { srs, nowAt }: SenderParts,
): ReversePath {
  const original = recipient?.original
  if (reversePath === null || srs === undefined || original === undefined) return reversePath
  if (recipient?.readdressed === true) return reversePath
  return original === recipient?.mailbox ? reversePath : encodeSrs(reversePath, domainOf(original), srs, nowAt)
}
