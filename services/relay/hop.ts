import type { Reply } from '../../shared/mail/reply.ts'
import type { Credentials } from '../../shared/smtp-client/authenticate.ts'
import type { Places } from './connection-budget.ts'
import type { Demand } from './domain-policy.ts'
import type { RelayLimits } from './relay-limits.ts'
import type { SessionPolicy } from './tls-facts.ts'
import type { Endpoint, TlsPolicy } from '../../shared/smtp-client/open-connection.ts'

/** One place a message may be handed to; the plan tries them in order. */
export interface Hop {
  readonly endpoint: Endpoint & { readonly kind: 'tcp' }
  readonly protocol: 'smtp' | 'lmtp'
  readonly helo: string
  readonly tls: TlsPolicy
  readonly credentials?: Credentials
  /** What the domain asks of the way to it. */
  readonly demand?: Demand
  /** What its sessions are told as; absent: they are not. */
  readonly reported?: SessionPolicy
  /** Connections are shared by messages with the same key. */
  readonly key: string
  /** Where a connection to it counts. */
  readonly places: Places
  readonly limits: RelayLimits
}

export type HopPlan =
  | { readonly kind: 'hops'; readonly hops: readonly Hop[] }
  | { readonly kind: 'refused'; readonly reply: Reply }
