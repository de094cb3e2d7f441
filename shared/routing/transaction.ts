import type { Configuration } from '../config/model.ts'
import type { TableSet } from '../config/tables.ts'
import type { ReversePath } from '../mail/address.ts'
import type { Origin } from '../mail/envelope.ts'
import { withTag, type Tag } from '../mail/tag.ts'

export interface RemotePeer {
  readonly address: string
  readonly rdns?: string
  /** It came by a listener on loopback. */
  readonly thisHost?: true
}

/** The client of an SMTP session as rules see it. */
export function peerOf({ address, rdns, thisHost }: Origin): 'local' | RemotePeer {
  if (address === undefined) return 'local'
  return { address, ...(rdns === undefined ? {} : { rdns }), ...(thisHost === undefined ? {} : { thisHost }) }
}

/** What rules may ask about a message, besides its recipient. */
export interface Transaction {
  /** `local`: made here, or handed back by a queue. */
  readonly peer: 'local' | RemotePeer
  readonly helo?: string
  /** Authenticated user name. */
  readonly user?: string
  /** Counts as authenticated without a user name: what the submission API takes. */
  readonly trusted?: boolean
  readonly tls: boolean
  readonly tags: readonly Tag[]
  readonly reversePath: ReversePath
}

/** Everything a routing decision depends on. */
export interface RoutingContext {
  readonly configuration: Configuration
  readonly tables: TableSet
  readonly transaction: Transaction
  /** Addresses of this host, without brackets; whoever connects from one is local. */
  readonly localAddresses: ReadonlySet<string>
  /** Told of rules that decide for good: they refuse, or lead to an alias. The others decide again for each copy. */
  readonly decided?: (rule: { readonly text: string }) => void
}

/** The same message as it comes back from a queue: with its tag, from here. */
export function handedBack(transaction: Transaction, added: Tag): Transaction {
  return { ...transaction, peer: 'local', tags: withTag(transaction.tags, added) }
}

/** The same message for an address that an alias gave. */
export function expandedHere(transaction: Transaction): Transaction {
  return { ...transaction, peer: 'local' }
}
