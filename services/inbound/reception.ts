import type { Configuration, Listener } from '../../shared/config/model.ts'
import type { TableSet } from '../../shared/config/tables.ts'
import type { Clock } from '../../shared/clock.ts'
import type { Events } from '../../shared/events.ts'
import type { Logger } from '../../shared/log.ts'
import type { Mailbox } from '../../shared/mail/address.ts'
import type { Envelope, Recipient } from '../../shared/mail/envelope.ts'
import type { Reply } from '../../shared/mail/reply.ts'
import type { Pipeline } from '../../shared/pipeline/pipeline.ts'
import type { AddressRewriting } from './address-rewriting.ts'
import type { Admits } from './admission.ts'
import type { ClientName } from '../../shared/client-name.ts'
import type { ClientWatch } from './client-watch.ts'
import type { Gate } from './gate.ts'
import type { CheckContent } from './content-checks.ts'
import type { CheckHeader } from './header-checks.ts'
import type { KnownClients } from './known-clients.ts'
import type { QuotaStatus } from './quota-status.ts'
import type { SessionLimits } from './limits.ts'
import type { AnswerEtrn } from './etrn.ts'
import type { AnswerExpn } from './expn.ts'
import type { Login } from './login.ts'
import type { Restrictions } from './restrictions/session-restrictions.ts'
import type { Manners } from './manners.ts'
import type { FilterParts } from './session-filters.ts'
import type { Tracing } from '../../shared/tracing/span.ts'

/** Clients wait for the filter's decision. */
export interface BeforeAccept {
  /** From the end of DATA. */
  readonly deadlineMs: number
}

/** What the rules say to one forward-path. */
export type Resolution =
  | {
      readonly kind: 'accepted'
      readonly recipients: readonly Pick<Recipient, 'mailbox' | 'target'>[]
      /** The one mailbox of this host that it is delivered to; looked for with `quota status` only. */
      readonly deliveredTo?: Mailbox
    }
  | { readonly kind: 'rejected'; readonly reply: Reply }

/** @throws when a table cannot be read: answered 451. */
export type ResolveRecipient = (envelope: Envelope, mailbox: Mailbox) => Promise<Resolution>

/** A filter with the decision `report` tells the operator something. */
export interface FilterReport {
  readonly session: string
  readonly listener: string
  readonly address: string
  readonly filter: string
  readonly text: string
}

/** All that the sessions of one listener work with. */
export interface Reception {
  readonly listener: Listener
  /** `127.0.0.1:2525`, for events and Received. */
  readonly name: string
  readonly hostname: string
  /** Our name where a client connected to this address of ours; undefined: `hostname`. Throws when the table cannot be read. */
  readonly hostnameAt?: (address: string) => Promise<string | undefined>
  /** Its clients stand for this host: smtpd.conf declares the listener on loopback. */
  readonly thisHost?: true
  /** Absent: whoever reaches the address may connect. */
  readonly admits?: Admits
  /** In each handshake. */
  readonly asksCertificate: boolean
  /** Behind STARTTLS alone; present: TLS from the start is served too, whose first octet is awaited so long. */
  readonly clientHelloMs?: number
  /** Absent: no PROXY header is awaited. Believes the header of these addresses. */
  readonly trustsProxy?: Admits
  /** Absent: XCLIENT is not offered. Believes what clients at these addresses say of theirs. */
  readonly trustsClient?: Admits
  /** Absent: XFORWARD is not offered. Believes what content filters at these addresses say of a message. */
  readonly trustsFilter?: Admits
  readonly configuration: Configuration
  readonly tables: Pick<TableSet, 'lookup' | 'answering'>
  readonly pipeline: Pick<Pipeline, 'receive' | 'accept' | 'decide'>
  readonly resolveRecipient: ResolveRecipient
  readonly clientName: (address: string) => Promise<ClientName>
  /** Absent when the listener names none: then no session pays for them. */
  readonly filters?: Omit<FilterParts, 'report'>
  /** Absent: no `restrict` is for this listener: then no session pays for them. */
  readonly restrictions?: Restrictions
  /** Absent: no `header match` is for this listener. */
  readonly checkHeader?: CheckHeader
  /** Absent: nothing is looked for behind the header: then no message pays for it. */
  readonly checkContent?: CheckContent
  /** Absent: addresses stay as they are. */
  readonly rewriting?: AddressRewriting
  /** Absent: nobody may ask for a queue run. */
  readonly etrn?: AnswerEtrn
  /** Absent: nobody is told who is on a list. */
  readonly expn?: AnswerExpn
  /** Absent: nobody is asked for room in mailboxes. */
  readonly quotaStatus?: QuotaStatus
  /** Absent: messages are filtered once they are accepted. */
  readonly beforeAccept?: BeforeAccept
  readonly reportFilter: (fields: FilterReport) => void
  readonly login: Login
  readonly events: Pick<
    Events,
    | 'connected'
    | 'secured'
    | 'tlsFailed'
    | 'disconnected'
    | 'authenticated'
    | 'authFailed'
    | 'rejected'
    | 'received'
    | 'filterReport'
  >
  /** Absent: tracing is off, and no session pays for it. */
  readonly tracing?: Tracing
  readonly log: Logger
  readonly clock: Clock
  /** Milliseconds that never go back, for time limits. */
  readonly monotonic: () => number
  readonly gate: Gate
  readonly knownClients: KnownClients
  readonly limits: SessionLimits
  readonly manners: Manners
  /** Absent: no `rate` or `ban` is for this listener. */
  readonly watch?: ClientWatch
}
