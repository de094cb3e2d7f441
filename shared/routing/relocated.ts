import { domainOf, localPart, type Mailbox } from '../mail/address.ts'
import type { Reply } from '../mail/reply.ts'
import { resolveRecipient, type Resolution } from './expand.ts'
import { journeyOf } from './journey.ts'
import type { RoutingContext } from './transaction.ts'

/** `resolveRecipient`, but that who has moved (`relocated` of pipeline.conf) is refused with the new address. @throws TableError */
export function resolveUnlessMoved(context: RoutingContext, mailbox: Mailbox): Resolution {
  const reply = relocation(context, mailbox)
  return reply === undefined ? resolveRecipient(context, mailbox) : { kind: 'rejected', reply }
}

/** 550 5.1.6 (RFC 3463 §3.2). Absent too where the rules refuse: strangers do not learn who has moved out of domains that are not ours. */
function relocation(context: RoutingContext, mailbox: Mailbox): Reply | undefined {
  const { relocated } = context.configuration.pipeline
  if (relocated === undefined) return undefined
  const { route } = journeyOf(context, mailbox).last
  if (route.kind === 'reject') return undefined
  for (const key of keysOf(mailbox, route.kind === 'local', context.configuration.subAddressDelimiter)) {
    const moved = context.tables.lookup(relocated, key)
    if (moved !== undefined) return { code: 550, enhanced: '5.1.6', text: `User has moved to ${printable(moved)}` }
  }
  return undefined
}

/** The user part alone means a user of this host. */
function keysOf(mailbox: Mailbox, isLocal: boolean, delimiter: string): Iterable<string> {
  const user = localPart(mailbox)
  const domain = domainOf(mailbox)
  const cut = user.indexOf(delimiter)
  const users = cut < 1 ? [user] : [user, user.slice(0, cut)]
  return new Set([...users.map((one) => `${one}@${domain}`), ...(isLocal ? users : []), `@${domain}`])
}

/** As a reply may hold it (RFC 5321 §4.2). */
function printable(text: string): string {
  return text.trim().replaceAll(/[^\x20-\x7e]/g, '?')
}
